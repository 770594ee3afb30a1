"""A replay reads the log by size, one at a time for a socket, and never falls silent."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from agents.entries import Logged
from agents.reading import PAGE
from agents.subscription import FIRST_PAGE, PAGE_CHARACTERS, Subscription
from tests.agents.desk import Desk

LARGE = 256 * 1024


class Log:
    """A log of entries of one size, read as through `DatabaseThreads`; `limits` tells how."""

    def __init__(self, count: int, size: int, error: Exception | None = None) -> None:
        self.last_seq = count
        self.limits: list[int] = []
        self.readers = self.most_readers = 0
        self._payload = b'{"content":"' + b"x" * (size - 14) + b'"}'
        self._error = error

    async def run(self, work: Any, session_id: str, seq: int, limit: int) -> list[Logged]:
        self.limits.append(limit)
        self.readers += 1
        self.most_readers = max(self.most_readers, self.readers)
        await turns()
        self.readers -= 1
        if self._error is not None:
            raise self._error
        return [self._entry(number) for number in range(seq + 1, self.last_seq + 1)[:limit]]

    def _entry(self, seq: int) -> Logged:
        return Logged("s", seq, "agent.tool_call", "", datetime.now(UTC), self._payload)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def replay(log: Log, desk: Desk) -> asyncio.Event:
    """Starts a replay from the log's beginning; the event tells that it is complete."""
    session: Any = SimpleNamespace(session_id="s", last_seq=log.last_seq, current=None)
    database: Any = log
    complete = asyncio.Event()
    Subscription(session, desk, 0, database).replay(announce=complete.set)
    return complete


@pytest.mark.parametrize(
    ("size", "then"),
    [
        (100, PAGE),
        (PAGE_CHARACTERS // 50, 50),
        (LARGE, PAGE_CHARACTERS // LARGE),
        (2 * PAGE_CHARACTERS, 1),
    ],
)
async def test_the_larger_the_entries_the_fewer_are_read_at_once(size: int, then: int) -> None:
    log, desk = Log(FIRST_PAGE + 2 * then, size), Desk()
    await replay(log, desk).wait()
    assert log.limits == [FIRST_PAGE, then, then]
    assert [frame["seq"] for frame in desk.told] == list(range(1, log.last_seq + 1))


async def test_one_sockets_replays_go_one_after_the_other() -> None:
    log, desk = Log(FIRST_PAGE + 8, LARGE), Desk()
    for complete in [replay(log, desk) for _ in range(5)]:
        await complete.wait()
    assert log.most_readers == 1
    assert len(desk.told) == 5 * log.last_seq


async def test_replays_of_different_sockets_do_not_wait_for_each_other() -> None:
    log = Log(FIRST_PAGE + 8, LARGE)
    for complete in [replay(log, Desk()) for _ in range(5)]:
        await complete.wait()
    assert log.most_readers == 5


async def test_a_replay_that_fails_sends_its_socket_away_to_come_back() -> None:
    desk = Desk()
    complete = replay(Log(3, 100, error=RuntimeError("unreadable")), desk)
    async with asyncio.timeout(30):
        assert await desk.closed() == 4012
    assert not complete.is_set()
    assert desk.last_word["metadata"] == {"code": "internal_error", "retryable": True}


async def test_a_socket_that_leaves_ends_its_replay_and_frees_the_next() -> None:
    log, desk = Log(3, 100), Desk()
    session: Any = SimpleNamespace(session_id="s", last_seq=3, current=None)
    database: Any = log
    first = Subscription(session, desk, 0, database)
    first.replay(announce=lambda: None)
    complete = replay(log, desk)
    await asyncio.sleep(0)
    first.close()
    async with asyncio.timeout(30):
        await complete.wait()
    assert desk.close_code is None
