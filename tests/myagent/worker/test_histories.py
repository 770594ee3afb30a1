"""Histories of many sessions take bounded memory."""

from __future__ import annotations

from myagent.messages import ChatMessage
from myagent.worker.histories import MESSAGE_CHARACTERS, Histories
from tests.myagent.worker.dialling import start


def test_the_session_longest_unused_is_dropped() -> None:
    histories = Histories(max_characters=2 * (MESSAGE_CHARACTERS + 5))
    for session in ("a", "b"):
        assert histories.take(start("12345", session))
    assert histories.take(start([], "a", at=1)) == [ChatMessage("user", "12345")]
    histories.take(start("12345", "c"))
    assert len(histories) == 2
    assert histories.take(start([], "b", at=1)) is None
    assert histories.take(start([], "a", at=1)) is not None


def test_a_history_that_is_too_long_to_keep_is_used_all_the_same() -> None:
    histories = Histories(max_characters=10)
    assert histories.take(start("a long question")) == [ChatMessage("user", "a long question")]
    assert (len(histories), histories.characters) == (0, 0)


def test_what_is_kept_is_counted_as_it_changes() -> None:
    histories = Histories()
    histories.take(start([ChatMessage("user", "x" * 10)] * 3))
    histories.take(start([ChatMessage("user", "y")], at=1))
    assert histories.characters == 2 * MESSAGE_CHARACTERS + 11
    histories.drop("s")
    assert (len(histories), histories.characters) == (0, 0)


def test_a_history_whose_oldest_turns_go_is_not_sent_again() -> None:
    histories = Histories()
    messages = [ChatMessage("user", text) for text in "abcd"]
    histories.take(start(messages))
    new = [ChatMessage("user", "e")]
    assert histories.take(start(new, first=2, at=4)) == [*messages[2:], *new]
    assert histories.characters == 3 * MESSAGE_CHARACTERS + 3
    assert histories.take(start(new, first=4, at=5)) == [new[0], new[0]]
    assert histories.take(start(new, first=3, at=5)) is None, "that one is gone"
