"""A page of the log is limited by the size of its entries, not only by their number."""

from __future__ import annotations

import pytest
from django.utils import timezone

from agents.log.reading import page_after
from agents.models import Event, Session

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

SMALL, LARGE = "x" * 10, "x" * 1_000


def log_of(*payloads: str) -> None:
    now = timezone.now()
    Session.objects.create(id="s", service="echo", created_at=now, updated_at=now)
    for seq, payload in enumerate(payloads, 1):
        Event.objects.create(
            session_id="s", seq=seq, epoch=1, event="e", created_at=now, payload=payload
        )


def read(seq: int, limit: int = 100) -> tuple[list[int], bool]:
    entries, is_last = page_after("s", seq, limit, 1_000)
    return [entry.seq for entry in entries], is_last


def test_small_entries_come_together_up_to_the_limit() -> None:
    log_of(*[SMALL] * 5)
    assert read(0) == ([1, 2, 3, 4, 5], True)
    assert read(0, limit=3) == ([1, 2, 3], False)
    assert read(5) == ([], True)


def test_what_would_make_the_page_too_large_comes_by_the_next_one() -> None:
    log_of(SMALL, SMALL, LARGE, LARGE, SMALL)
    assert read(0) == ([1, 2], False)
    assert read(2) == ([3], False)
    assert read(3) == ([4], False)
    assert read(4) == ([5], True)


def test_one_that_is_larger_than_a_page_comes_alone() -> None:
    log_of(LARGE * 3, SMALL)
    assert read(0) == ([1], False)
