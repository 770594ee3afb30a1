"""What a terminal is given: harmless text, whole blocks once, and decisions as typed."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agents.terminal.inert import inert, one_line, readable
from agents.terminal.prompts import read_arguments, read_choice
from agents.terminal.screen import PlainScreen, RichScreen
from agents.terminal.writing import Writing, settled_length
from myagent.client import (
    ConfirmationAsked,
    FinalAnswer,
    Interrupted,
    MessageAccepted,
    PartialAnswer,
    ThinkingCompleted,
    ToolCalled,
    ToolFinished,
)
from myagent.steps import Decision

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
STYLES = re.compile(r"\x1b\[[\d;]*m")
LONG = 2**70
EVIL = "a\x1b]0;owned\x07\x1b[2Jb\x9b31mc\rd\x08\x7f\x0e e\tf\ng [red]h[/red] [link=x]"


@given(st.text())
def test_nothing_in_a_text_controls_the_terminal(text: str) -> None:
    assert not CONTROLS.search(inert(text))
    assert not CONTROLS.search(one_line(text))
    assert not CONTROLS.search(readable(text))
    assert "\n" not in one_line(text)


def test_what_people_read_stays() -> None:
    assert inert("你好 🎯\tx\ny") == "你好 🎯\tx\ny"
    assert one_line({"a": [1, "龍"]}) == '{"a":[1,"龍"]}'
    assert one_line(LONG) == str(LONG)
    assert one_line({"龍": LONG}) == f'{{"龍": {LONG}}}'
    assert one_line("x" * 500, 10) == "x" * 10 + "…"


def test_a_sequence_for_terminals_goes_whole_and_no_line_with_it() -> None:
    assert readable("\x1b[1;31mred\x1b[0m \x9b2Kx") == "red x"
    assert readable("a\x1b]0;never ended\nb") == "a\nb"
    assert one_line("\x1b[31mred\x1b[0m") == "red"


def shown(*events: object) -> str:
    output = io.StringIO()
    screen = RichScreen(Console(file=output, force_terminal=True, width=200, highlight=False))
    for event in events:
        screen.show(event)  # type: ignore[arg-type]
    return output.getvalue()


def plainly_shown(event: Any) -> tuple[str, str]:
    output, errors = io.StringIO(), io.StringIO()
    PlainScreen(Console(file=output), Console(file=errors)).show(event)
    return output.getvalue(), errors.getvalue()


def test_what_a_model_or_a_tool_says_is_shown_and_does_nothing() -> None:
    evil = f"{EVIL} &#27;[31m &#x9b;2J [click](http://x/\x1b]8;;y)"
    text = shown(
        MessageAccepted(event="user.message", content=evil),
        ToolCalled(event="agent.tool_call", step_id="1", tool=evil, args={evil: evil}),
        ToolFinished(event="agent.tool_result", step_id="1", tool=evil, content=evil),
        FinalAnswer(event="agent.final_answer", content=evil),
    )
    assert not CONTROLS.search(STYLES.sub("", text))
    assert "[red]h[/red]" in text, "nor is it markup of our own"


@pytest.mark.parametrize("depth", range(1, 120, 7))
@pytest.mark.parametrize("mark", ["> ", "- "])
def test_text_is_shown_however_deep_it_is(mark: str, depth: int) -> None:
    text = shown(FinalAnswer(event="agent.final_answer", content=mark * depth + "treasure"))
    assert "treasure" in text


@pytest.mark.parametrize(
    "text",
    [
        "use List<String> and Map<K, V>",
        "<div>block</div>\n\n<!-- a comment --> after",
        "a <b>bold</b> word, a < b > c, <unknown/>",
        "- item <T>\n- <script>alert(1)</script>",
        "| a | b |\n|---|---|\n| Vec<u8> | <br> |",
        "| a | b |\n|---|---|\n| 1 | 2 | 3extra |",
        "| a | b |\n|---|---|\n| 1 | 2 | 1 | 2 | tail |\n\nafter",
        "> | a | b |\n> |---|---|\n> | 1 | `x|y` | last |",
        "- item\n\n  | a | b |\n  |---|---|\n  | 1 | 2 | 3extra |\n- more",
        "see [1]\n\n[1]: https://example.com/page",
        "![chart](https://example.com/chart.png)",
        "```\n<pre>code</pre>\n```",
    ],
)
def test_nothing_that_is_written_is_missing_on_the_screen(text: str) -> None:
    seen = shown(FinalAnswer(event="agent.final_answer", content=text))
    seen = re.sub(r"\s", "", STYLES.sub("", seen))
    for word in re.findall(r"<[^>]*>|[\w./:]+", text):
        assert re.sub(r"\s", "", word) in seen, word


@pytest.mark.parametrize("start", ["", "> ", "  "])
@pytest.mark.parametrize("row", ["| 1 | 2 |", "1 | 2", "| 1 |", "| `x\\|y` | > |", "| |"])
def test_only_a_table_with_more_cells_than_its_head_is_shown_as_written(
    start: str, row: str
) -> None:
    head = f"{start}| a | b |\n{start}|---|---|\n"
    assert "---" not in shown(FinalAnswer(event="agent.final_answer", content=head + start + row))
    text = f"{head}{start}| 1 | 2 | 3 |\n\n| c | d |\n|:-:|---|\n| 5 | 6 |"
    seen = shown(FinalAnswer(event="agent.final_answer", content=text))
    assert "|---|---|" in seen
    assert "|:-:|" not in seen


@pytest.mark.parametrize("status", ["declined", "cancelled"])
def test_a_tool_that_was_asked_about_and_did_not_run_is_shown_with_its_arguments(
    status: Any,
) -> None:
    text = shown(
        ConfirmationAsked(
            event="agent.user_confirm", step_id="1", tool="place_order", args={"item": "tea"}
        ),
        ToolFinished(event="agent.tool_result", step_id="1", tool="place_order", status=status),
    )
    assert f"place_order(item=tea) · {status}" in STYLES.sub("", text)


@pytest.mark.parametrize(("status", "is_told"), [("declined", False), ("error", True)])
def test_that_a_call_was_declined_is_not_said_again(status: Any, *, is_told: bool) -> None:
    text = shown(
        ConfirmationAsked(event="agent.user_confirm", step_id="1", tool="order", args={}),
        ToolFinished(
            event="agent.tool_result", step_id="1", tool="order", status=status, content="Not run."
        ),
    )
    assert ("Not run." in text) is is_told


def test_a_message_that_leaves_the_queue_does_not_end_the_answer() -> None:
    output = io.StringIO()
    screen = RichScreen(Console(file=output, force_terminal=True, width=200, highlight=False))
    text = "First block.\n\nSecond block."
    with screen.following():
        screen.show(PartialAnswer(event="agent.partial_answer", run_id="r", step=1, text=text))
        screen.show(Interrupted(event="agent.interrupted", run_id="q", content="Stopped."))
        screen.show(PartialAnswer(event="agent.partial_answer", run_id="r", step=1, text=text))
    screen.show(FinalAnswer(event="agent.final_answer", run_id="r", content=text))
    printed = STYLES.sub("", output.getvalue())
    assert printed.count("First block.") == 1
    assert "Stopped." in printed


@pytest.mark.parametrize(
    ("reason", "sentence", "chinese"),
    [
        ("length", "the model reached its limit of tokens", "模型已达到令牌上限"),
        ("content_filter", "The content filter of", "内容过滤截断了这个回答"),
        ("max_steps", "The agent reached its limit of steps.", "步数上限"),
    ],
)
def test_an_answer_that_was_cut_says_so(reason: Any, sentence: str, chinese: str) -> None:
    cut = FinalAnswer(event="agent.final_answer", content="Hel", stop_reason=reason)
    assert sentence in shown(cut)
    output, errors = plainly_shown(cut)
    assert output == "Hel\n"
    assert sentence in errors
    with translation.override("zh-hans"):
        assert chinese in shown(cut)
    assert "limit" not in shown(FinalAnswer(event="agent.final_answer", content="Hel"))


STOPPED = Interrupted(
    event="agent.interrupted", run_id="r", content="Stopped.", text="One.\n\nTwo."
)


def test_the_text_of_an_answer_that_was_stopped_is_shown_once() -> None:
    first = ThinkingCompleted(event="agent.thinking", run_id="r", step=1, text="I look.")
    words = re.findall(r"[A-Z][\w ]*\.", STYLES.sub("", shown(first, STOPPED)))
    assert words == ["I look.", "One.", "Two.", "Stopped."]
    assert plainly_shown(STOPPED) == ("", "One.\n\nTwo.\nStopped.\n")
    assert plainly_shown(replace(STOPPED, text="")) == ("", "Stopped.\n")


@pytest.mark.parametrize("seen", ["One.", "One.\n\nT", "One.\n\nTwo.", "One.\n\nTwo. Three"])
def test_the_text_of_an_answer_that_is_stopped_while_it_is_watched_is_shown_once(seen: str) -> None:
    output = io.StringIO()
    screen = RichScreen(Console(file=output, force_terminal=True, width=200, highlight=False))
    with screen.following():
        screen.show(PartialAnswer(event="agent.partial_answer", run_id="r", step=1, text=seen))
    before = output.tell()
    screen.show(STOPPED)
    output.seek(before)
    rest = STYLES.sub("", output.read())
    assert ("One." in rest) is (seen == "One.")
    assert rest.count("Two.") == rest.count("Stopped.") == 1
    assert ("Three" in rest) is ("Three" in seen)


# Growing Markdown.


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("one", ""),
        ("one\n\n", ""),
        ("one\n\ntwo", "one\n\n"),
        ("one\n\ntwo\n\n\nthree", "one\n\ntwo\n\n\n"),
        ("- a\n\n  more of a", ""),
        ("```\na\n\nb", ""),
        ("```\na\n\nb\n```\n\nc", "```\na\n\nb\n```\n\n"),
        ("~~~~\n```\n\n~~~\n\nx", ""),
    ],
)
def test_whole_blocks_are_settled_once_another_begins(text: str, settled: str) -> None:
    assert text[: settled_length(text)] == settled


pieces = st.lists(st.sampled_from(["a", "\n", "\n\n", "```", " ", "- ", "你", "x y"]), max_size=30)


@given(pieces)
def test_what_is_printed_is_the_whole_text_once(written: list[str]) -> None:
    writing, text, printed = Writing(), "", ""
    for piece in written:
        text += piece
        change = writing.grow("step", text)
        printed += change.block
        assert not change.restarts
        assert printed + change.rest == text
    change = writing.finish(text)
    assert not change.restarts
    assert printed + change.block == text


@given(pieces, pieces, st.booleans())
def test_a_text_that_is_written_anew_is_whole_after_it_was_said_so(
    first: list[str], second: list[str], grows: bool
) -> None:
    writing, printed = Writing(), ""
    changes = [writing.grow("step", "".join(first[: n + 1])) for n in range(len(first))]
    text = "".join(second)
    if grows:
        changes += [writing.grow("step", "".join(second[: n + 1])) for n in range(len(second))]
    changes.append(writing.finish(text))
    for change in changes:
        printed = ("" if change.restarts else printed) + change.block
    assert printed == text


# Decisions.


@pytest.mark.parametrize(
    ("typed", "decision"),
    [
        ("y", Decision(True)),
        (" YES ", Decision(True)),
        ("是", Decision(True)),
        ("n", Decision(False)),
        ("no  too much", Decision(False, feedback="too much")),
        ("", None),
        ("yes but", None),
        ("maybe", None),
    ],
)
def test_a_decision_is_what_was_typed(typed: str, decision: Decision | None) -> None:
    assert read_choice(typed) == decision


def test_arguments_are_a_json_object_or_nothing() -> None:
    assert read_arguments('{"a": "茶"}') == {"a": "茶"}
    assert read_arguments(f'{{"n": {LONG}}}') == {"n": LONG}
    assert [read_arguments(text) for text in ("", "[1]", "{", "1")] == [None] * 4
