"""A search has an end, however much there is."""

from __future__ import annotations

import pytest

from agents.archive import searching
from agents.archive.searching import said_in
from agents.models import Session
from tests.agents.archive.stored import stored

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

SessionIds = list[str]


@pytest.fixture
def three() -> SessionIds:
    """Conversations, the newest first."""
    return sorted((stored("once upon a time", "later") for _ in range(3)), reverse=True)


def found(text: str) -> SessionIds:
    return sorted(said_in(Session.objects.all(), text), reverse=True)


def test_what_was_said_is_found_in_many_conversations_by_several_queries(
    three: SessionIds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "AT_ONCE", 2)
    assert found("UPON") == three
    assert found("never") == []


def test_only_the_newest_are_searched(three: SessionIds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "MOST_SESSIONS", 2)
    assert found("upon") == three[:2]


def test_only_the_last_entries_of_each_are_searched(
    three: SessionIds, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A message and its end are two entries.
    monkeypatch.setattr(searching, "MOST_ENTRIES", 2)
    assert found("upon") == []
    assert found("later") == three


def test_when_its_time_is_over_nothing_further_is_searched(
    three: SessionIds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "AT_ONCE", 1)
    monkeypatch.setattr(searching, "SEARCH_S", 0.0)
    assert found("upon") == three[:1]
