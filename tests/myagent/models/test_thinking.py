from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.models.thinking import ThinkingSplitter


def split(*pieces: str, begins_inside: bool = False) -> tuple[str, str]:
    """The text that remains for a reader, and the thinking."""
    splitter = ThinkingSplitter(begins_inside=begins_inside)
    text = ""
    for piece in pieces:
        told = splitter.feed(piece)
        text = told if splitter.takes_back else text + told
    text += splitter.close()
    return text, splitter.thinking


def cut(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted(at % (len(text) + 1) for at in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


REPLIES = [
    ("<think>\nHm.\n</think>\n\nHello!", "Hello!", "Hm."),
    ("\n <think>Hm.</think>Hello!", "Hello!", "Hm."),
    ("<THINK>Hm.</Think> Hello!", "Hello!", "Hm."),
    ("<thinking>Hm.</thinking>Hello!", "Hello!", "Hm."),
    ("<think></think>\n\nHello!", "Hello!", ""),
    ("<think>One.</think>\n<think>Two.</think>Hello!", "Hello!", "One.\nTwo."),
    ("<think>1 < 2? </ think> </thin></think>1 < 2", "1 < 2", "1 < 2? </ think> </thin>"),
    ("<think>Hm. It goes on", "", "Hm. It goes on"),
    ("Hm, they greet me.\n</think>\n\nHello!", "Hello!", "Hm, they greet me."),
    ("Hm.</think>Hello <b>you</b>!", "Hello <b>you</b>!", "Hm."),
    ("Hello <b>you</b> </p> <thi", "Hello <b>you</b> </p> <thi", ""),
    ("Hello <think>not at the start</thin", "Hello <think>not at the start</thin", ""),
    ("It ends with `</think>`, as ever.", "It ends with `</think>`, as ever.", ""),
    ("```\n<think>x</think>\n```", "```\n<think>x</think>\n```", ""),
    ("Write <think>a</think> first.", "Write <think>a</think> first.", ""),
    ("First <think>, they say.</think> Hi", "First <think>, they say.</think> Hi", ""),
    ("They ask of `<think>`.</think>Hi", "Hi", "They ask of `<think>`."),
    ("<think>a</think>Say </think> again", "Say </think> again", "a"),
    ("<", "<", ""),
    ("</think>Hello!", "Hello!", ""),
    ("", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "text", "thinking"), REPLIES)
@given(cuts=st.lists(st.integers(0, 80), max_size=12))
def test_thinking_is_told_from_text_wherever_a_reply_is_cut(sent, text, thinking, cuts) -> None:
    assert split(*cut(sent, cuts)) == (text, thinking)


@given(st.lists(st.text("<>/thinkHo \n`", max_size=9), max_size=9))
def test_a_reply_means_the_same_in_any_pieces(pieces: list[str]) -> None:
    assert split(*pieces) == split("".join(pieces))


@given(st.text(), st.lists(st.integers(0, 80), max_size=5))
def test_text_without_a_tag_is_left_alone(text: str, cuts: list[int]) -> None:
    if "think" not in text and "thought" not in text:
        assert split(*cut(text, cuts)) == (text, "")


def test_text_is_given_at_once() -> None:
    splitter = ThinkingSplitter()
    assert [splitter.feed(piece) for piece in ("Hel", "lo a<", "b")] == ["Hel", "lo a", "<b"]


def test_of_a_reply_that_begins_inside_nothing_is_shown_before_the_tag() -> None:
    splitter = ThinkingSplitter(begins_inside=True)
    assert [splitter.feed(piece) for piece in ("Hm", ".</th", "ink>", "\n", "Hi")] == [
        "", "", "", "", "Hi",
    ]  # fmt: skip
    assert (splitter.thinking, splitter.is_untagged) == ("Hm.", True)


@pytest.mark.parametrize(
    ("sent", "text", "thinking"),
    [("Hello!", "Hello!", ""), ("<think>Hm.</think>Hi", "Hi", "Hm."), (" \n", " \n", "")],
)
@given(cuts=st.lists(st.integers(0, 80), max_size=5))
def test_a_reply_that_does_not_begin_inside_after_all_is_whole(sent, text, thinking, cuts) -> None:
    assert split(*cut(sent, cuts), begins_inside=True) == (text, thinking)


def test_where_thinking_comes_by_another_way_a_closing_tag_is_text() -> None:
    splitter = ThinkingSplitter()
    told = splitter.feed("A ")
    splitter.end_search()
    assert told + splitter.feed("</think> B") == "A </think> B"
