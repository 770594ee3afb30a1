"""Histories of many sessions take bounded memory."""

from __future__ import annotations

from myagent.messages import ChatMessage
from myagent.worker.histories import MESSAGE_CHARACTERS, Histories
from tests.myagent.worker.dialling import start


def test_the_session_longest_unused_is_dropped() -> None:
    histories = Histories(max_characters=2 * (MESSAGE_CHARACTERS + 5))
    for session in ("a", "b"):
        assert histories.take(start("12345", session))
    assert histories.take(start([], "a", kept=1)) == [ChatMessage("user", "12345")]
    histories.take(start("12345", "c"))
    assert len(histories) == 2
    assert histories.take(start([], "b", kept=1)) is None
    assert histories.take(start([], "a", kept=1)) is not None


def test_a_history_that_is_too_long_to_keep_is_used_all_the_same() -> None:
    histories = Histories(max_characters=10)
    assert histories.take(start("a long question")) == [ChatMessage("user", "a long question")]
    assert (len(histories), histories.characters) == (0, 0)


def test_what_is_kept_is_counted_as_it_changes() -> None:
    histories = Histories()
    histories.take(start([ChatMessage("user", "x" * 10)] * 3))
    histories.take(start([ChatMessage("user", "y")], kept=1))
    assert histories.characters == 2 * MESSAGE_CHARACTERS + 11
    histories.drop("s")
    assert (len(histories), histories.characters) == (0, 0)
