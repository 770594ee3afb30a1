"""Answers of the commands: nothing in them controls a terminal, and programs can read them."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

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
