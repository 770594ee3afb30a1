"""Text from another server fits the log, however late, early or incomplete it comes."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from agents.log.entry import Logged
from agents.sessions.pieces import MOST_HELD, Piece, RemoteText


def entry(seq: int, event: str) -> Logged:
    return Logged("s", seq, event, "", datetime.now(UTC), b'{"content":null,"metadata":{}}')


def piece(seq: int, offset: int, text: str, step: int = 1) -> Piece:
    return Piece(seq, "run", step, offset, text)


def shown(text: RemoteText, last_seq: int) -> list[Piece]:
    return list(text.ready(last_seq))


def test_text_that_overtook_the_log_waits_for_it() -> None:
    text = RemoteText()
    text.hear(piece(2, 0, "ab"))
    assert shown(text, 1) == []
    assert text.is_behind
    text.note(entry(2, "user.message"))
    assert shown(text, 2) == [piece(2, 0, "ab")]
    assert (text.run_id, text.step, text.text) == ("run", 1, "ab")


def test_text_that_the_log_overtook_is_dropped() -> None:
    text = RemoteText()
    text.note(entry(5, "agent.final_answer"))
    text.hear(piece(4, 0, "late"))
    assert shown(text, 5) == []
    assert text.text == ""


def test_after_a_gap_nothing_is_shown_until_the_text_comes_whole() -> None:
    text = RemoteText()
    for each in (piece(1, 0, "ab"), piece(1, 4, "ef"), piece(1, 6, "gh")):
        text.hear(each)
    assert shown(text, 1) == [piece(1, 0, "ab")]
    text.hear(piece(1, 0, "abcdefgh"))
    assert shown(text, 1) == [piece(1, 0, "abcdefgh")]
    text.hear(piece(1, 8, "ij"))
    assert shown(text, 1)
    assert text.text == "abcdefghij"


def test_a_new_step_begins_with_no_text() -> None:
    text = RemoteText()
    text.hear(piece(1, 0, "ab"))
    text.hear(Piece(3, "", 2, 0, None))
    text.hear(piece(3, 0, "x", step=2))
    assert [each.step for each in shown(text, 3)] == [1, 2, 2]
    assert text.text == "x"


def test_what_waits_for_the_log_is_bounded() -> None:
    text = RemoteText()
    for offset in range(2 * MOST_HELD):
        text.hear(piece(9, offset, "x"))
    assert len(shown(text, 9)) <= MOST_HELD


@given(lost=st.sets(st.integers(0, 9)), pieces=st.lists(st.text(max_size=3), max_size=10))
def test_whatever_is_lost_the_text_is_a_beginning_of_the_whole(
    lost: set[int], pieces: list[str]
) -> None:
    text, whole = RemoteText(), "".join(pieces)
    offset = 0
    for number, each in enumerate(pieces):
        if number not in lost:
            text.hear(piece(1, offset, each))
        offset += len(each)
    shown(text, 1)
    assert whole.startswith(text.text)
