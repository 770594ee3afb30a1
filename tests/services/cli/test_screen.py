"""Answers of the commands: nothing in them controls a terminal, and programs can read them."""

from __future__ import annotations

import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from services.cli.cells import Moment, Repeated, Summary, Word
from services.cli.columns import GAP, widths
from services.cli.screen import PlainScreen, RichScreen, Screen, as_json

DIRECTIONS = "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
EVIL = f"\x1b]0;owned\x07\x9b31m[bold]x{DIRECTIONS}[/bold]\x7f"
HARMLESS = "[bold]x[/bold]"


def rich_screen(width: int = 100) -> tuple[Screen, io.StringIO]:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=width, no_color=True, highlight=False)
    return RichScreen(console), output


def plain_screen() -> tuple[Screen, io.StringIO]:
    output = io.StringIO()
    return PlainScreen(output), output


@pytest.mark.parametrize("make", [rich_screen, plain_screen])
def test_text_from_elsewhere_is_shown_and_not_obeyed(make: object) -> None:
    screen, output = make()  # type: ignore[operator]
    screen.say(EVIL)
    screen.facts([("error", EVIL)])
    screen.table(["error"], [[EVIL]])
    shown = output.getvalue()
    assert shown.count(HARMLESS) == 3
    assert not {"\x07", "\x9b", "\x7f", *DIRECTIONS} & set(shown)
    assert "\x1b]" not in shown


def test_a_row_is_a_line_whatever_is_in_it() -> None:
    screen, output = plain_screen()
    screen.table(["name", "tags", "error"], [["a", ["x", "y"], "one\ntwo\tthree"], ["b", [], None]])
    assert output.getvalue() == "name\ttags\terror\na\tx, y\tone two three\nb\t-\t-\n"


def test_a_line_is_written_at_once() -> None:
    """A program that follows a log waits for it."""
    read, write = io.BytesIO(), None
    write = io.TextIOWrapper(read, encoding="utf-8", newline="\n")
    PlainScreen(write).say("one")
    assert read.getvalue() == b"one\n"
    write.detach()


def test_long_lines_are_not_wrapped_in_a_terminal() -> None:
    screen, output = rich_screen(width=40)
    screen.say("x" * 100)
    assert output.getvalue() == "x" * 100 + "\n"


def test_what_is_looked_up_stays_whole_in_a_narrow_terminal() -> None:
    screen, output = rich_screen(width=60)
    screen.table(
        ["name", "endpoint", "error"],
        [["weather", "ws://localhost:40001/", "it raised an error while it was loaded, twice"]],
    )
    assert "ws://localhost:40001/" in output.getvalue()


def test_json_is_read_back_as_it_was_and_harmless() -> None:
    text = as_json({"error": EVIL, "name": "天气"})
    assert "天气" in text
    assert not {"\x1b", "\x07", "\x9b", "\x7f", *DIRECTIONS} & set(text)
    assert json.loads(text) == {"error": EVIL, "name": "天气"}


def test_progress_is_shown_in_a_terminal_and_not_in_a_pipe() -> None:
    screen, output = rich_screen()
    with screen.progress() as progress:
        progress.tell("weather: starting")
    assert "weather: starting" in output.getvalue()
    screen, output = plain_screen()
    with screen.progress() as progress:
        progress.tell("weather: starting")
    assert output.getvalue() == ""


COLUMNS = ["instance", "state", "pid", "machine", "started", "memory MB", "error"]
ROW = [
    *("019aa2f3", Word("running"), 12910, "a-machine-with-a-name.example.com"),
    *(Moment("2026-11-21T03:55:38.102Z"), 1234.5, "it raised an error while it was loaded"),
]


def seen(output: io.StringIO) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", output.getvalue())


@pytest.mark.parametrize("width", [1, 7, 20, 33, 40, 60, 79, 80, 100, 200])
def test_no_value_loses_anything_however_narrow_the_terminal_is(width: int) -> None:
    screen, output = rich_screen(width)
    screen.table(COLUMNS, [ROW, ROW])
    screen.facts([("restart_count", 1234567), ("a.fact.with.a.very.long.name", 7654321)])
    shown = seen(output)
    assert shown.count("12910") == shown.count("1234.5") == shown.count("019aa2f3") == 2
    assert "1234567" in shown and "7654321" in shown
    assert shown.count("running") == 2
    assert all(word in shown for word in ("instance", "memory", "machine", "raised"))


def test_a_table_is_no_wider_than_the_terminal() -> None:
    screen, output = rich_screen(80)
    screen.table(COLUMNS, [ROW, ROW])
    lines = seen(output).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split()[:3] == ["instance", "state", "pid"]


def test_what_finds_no_room_in_a_row_stands_below_it() -> None:
    screen, output = rich_screen(50)
    endpoint = "ws://localhost:8000/services/weather/"
    screen.table(["name", "endpoint", "error"], [["weather", endpoint, "x" * 200], ["b", "", ""]])
    first, _, rest = seen(output).partition("\n")
    assert first.split() == ["name", "endpoint"]
    assert rest.startswith(f"weather  {endpoint}")
    assert "  error: " + "x" * 200 + "\n" in rest


def test_a_column_of_nothing_takes_no_room_in_a_terminal() -> None:
    screen, output = rich_screen()
    screen.table(["name", "tags", "supervisor"], [["a", [], Repeated("here")]])
    assert seen(output).split() == ["name", "a"]
    screen.table(["name", "tags", "supervisor"], [["a", [], Repeated("here")], ["b", [], "me"]])
    assert seen(output).split()[2:] == ["name", "supervisor", "a", "here", "b", "me"]


def test_in_a_pipe_nothing_is_cut() -> None:
    screen, output = plain_screen()
    long = " ".join(["word"] * 4000)
    screen.facts([("description", long)])
    screen.table(["error"], [[Summary(f"first\n{long}")]])
    assert output.getvalue() == f"description\t{long}\nerror\nfirst {long}\n"


def test_a_terminal_shows_the_first_line_of_what_is_told_elsewhere() -> None:
    screen, output = rich_screen()
    screen.table(["error"], [[Summary("first\n" + "x" * 5000)], [Summary("y" * 5000)]])
    assert seen(output).split() == ["error", "first", "y" * 100, "y" * 59 + "…"]


def test_a_sentence_is_cut_by_what_it_takes_of_the_terminal() -> None:
    screen, output = rich_screen(200)
    screen.table(["error"], [[Summary("天" * 100)], [Summary("天" * 80)]])
    assert seen(output).split() == ["error", "天" * 79 + "…", "天" * 80]


@pytest.mark.parametrize("width", [50, 80, 120])
def test_a_sentence_in_any_alphabet_fits_the_terminal_and_is_whole(width: int) -> None:
    screen, output = rich_screen(width)
    sentence = "没有监督进程在运行" * 6
    screen.table(["name", "endpoint", "error"], [["weather", "ws://a.test/", Summary(sentence)]])
    lines = seen(output).splitlines()
    pieces = [re.findall("[\u4e00-\u9fff]+", line) for line in lines]
    assert "".join(piece for each in pieces for piece in each) == sentence
    if width > 70:
        assert max(map(cell_len, map(str.rstrip, lines))) <= width


@given(
    st.lists(st.text("ab 天", max_size=30), min_size=1, max_size=6),
    st.integers(1, 120),
    st.data(),
)
def test_columns_fit_the_terminal_and_their_values_fit_the_columns(
    headings: list[str], room: int, data: st.DataObject
) -> None:
    count = len(headings)
    row = data.draw(st.lists(st.text("ab1 天", max_size=40), min_size=count, max_size=count))
    breakable = data.draw(st.dictionaries(st.integers(0, count - 1), st.integers(1, 50)))
    found = widths(headings, [row], room, breakable=breakable)
    if found is None:
        return
    assert sum(found) + GAP * (count - 1) <= room
    for index, width in enumerate(found):
        assert index in breakable or cell_len(row[index]) <= width
        assert all(cell_len(word) <= width for word in headings[index].split())
