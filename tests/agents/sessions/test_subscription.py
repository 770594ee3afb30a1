"""A replay reads the log by size, one at a time for a socket, and never falls silent."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from agents.log.entry import Logged
from agents.log.reading import PAGE
from agents.sessions.audience import Audience
from agents.sessions.subscription import PAGE_CHARACTERS, Subscription
from tests.agents.recording_socket import RecordingSocket


class Log:
    """A log of entries of one size, read as through `DatabaseThreads`; `asked` records the reads.

    `pruned` are numbers whose entries no longer exist.
    """

    def __init__(self, count: int, size: int, error: Exception | None = None) -> None:
        self.last_seq = count
        self.pruned: Container[int] = ()
        self.asked: list[tuple[int, int]] = []
        self.readers = self.most_readers = 0
        self.is_being_read = asyncio.Event()
        self._payload = b'{"content":"' + b"x" * (size - 14) + b'"}'
        self._error = error

    async def run(
        self, work: Any, session_id: str, seq: int, limit: int, characters: int
    ) -> tuple[list[Logged], bool]:
        self.asked.append((limit, characters))
        self.readers += 1
        self.is_being_read.set()
        self.most_readers = max(self.most_readers, self.readers)
        kept = [each for each in range(seq + 1, self.last_seq + 1) if each not in self.pruned]
        await turns()
        self.readers -= 1
        if self._error is not None:
            raise self._error
        return [self._entry(number) for number in kept[:limit]], len(kept) < limit

    def _entry(self, seq: int) -> Logged:
        return Logged("s", seq, "agent.tool_call", "", datetime.now(UTC), self._payload)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def subscribe(log: Log, socket: RecordingSocket) -> Subscription:
    session_log: Any = SimpleNamespace(session_id="s", lang="en", last_seq=log.last_seq)
    database: Any = log
    socket.attached["s"] = object()
    return Audience(session_log, database).add(socket, 0)


def replay(log: Log, socket: RecordingSocket) -> asyncio.Event:
    """Starts a replay from the log's beginning; the event tells that it is complete."""
    complete = asyncio.Event()
    subscribe(log, socket).replay(announce=complete.set)
    return complete


async def test_a_replay_asks_for_pages_of_a_bounded_size() -> None:
    log, socket = Log(2 * PAGE + 3, 100), RecordingSocket()
    await replay(log, socket).wait()
    assert log.asked == [(PAGE, PAGE_CHARACTERS)] * 3
    assert [frame["seq"] for frame in socket.told] == list(range(1, log.last_seq + 1))


async def test_one_sockets_replays_go_one_after_the_other() -> None:
    log, socket = Log(2 * PAGE + 8, 100), RecordingSocket()
    for complete in [replay(log, socket) for _ in range(5)]:
        await complete.wait()
    assert log.most_readers == 1
    assert len(socket.told) == 5 * log.last_seq


async def test_replays_of_different_sockets_do_not_wait_for_each_other() -> None:
    log = Log(2 * PAGE + 8, 100)
    for complete in [replay(log, RecordingSocket()) for _ in range(5)]:
        await complete.wait()
    assert log.most_readers == 5


async def test_a_replay_that_fails_sends_its_socket_away_to_come_back() -> None:
    socket = RecordingSocket()
    complete = replay(Log(3, 100, error=RuntimeError("unreadable")), socket)
    async with asyncio.timeout(30):
        assert await socket.closed() == 4012
    assert not complete.is_set()
    assert socket.last_word["metadata"] == {
        "code": "internal_error",
        "retryable": True,
        "session_id": "s",
    }


async def test_a_replay_that_fails_costs_a_socket_its_other_sessions_nothing() -> None:
    socket = RecordingSocket()
    socket.attached["other"] = object()
    replay(Log(3, 100, error=RuntimeError("unreadable")), socket)
    async with asyncio.timeout(30):
        told = await socket.hear("system.error", session_id="s")
    assert told["metadata"]["code"] == "internal_error"
    assert socket.close_code is None
    assert socket.attached.keys() == {"other"}


async def test_a_socket_that_leaves_ends_its_replay_and_frees_the_next() -> None:
    log, socket = Log(3, 100), RecordingSocket()
    first = subscribe(log, socket)
    first.replay(announce=lambda: None)
    complete = replay(log, socket)
    await asyncio.sleep(0)
    first.close()
    async with asyncio.timeout(30):
        await complete.wait()
    assert socket.close_code is None


PRUNED = {
    "to nothing": range(1, 1_001),
    "at its beginning": range(1, 501),
    "at its end": range(900, 1_001),
    "in its middle": range(PAGE + 1, 901),
}


@pytest.mark.parametrize("pruned", PRUNED.values(), ids=PRUNED)
async def test_a_replay_of_a_log_that_was_pruned_is_complete_with_what_was_kept(
    pruned: range,
) -> None:
    log, socket = Log(1_000, 100), RecordingSocket()
    log.pruned = pruned
    subscription, complete = subscribe(log, socket), asyncio.Event()
    subscription.replay(announce=complete.set)
    async with asyncio.timeout(30):
        await complete.wait()
    kept = [seq for seq in range(1, 1_001) if seq not in pruned]
    assert [frame["seq"] for frame in socket.told] == kept
    assert subscription.seq == 1_000
    subscription.offer(log._entry(1_001))
    assert socket.told[-1]["seq"] == 1_001, "what comes next is told as it comes"


async def test_what_is_written_while_a_pruned_log_is_read_is_not_missed() -> None:
    log, socket = Log(20, 100), RecordingSocket()
    log.pruned = range(1, 21)
    subscription, complete = subscribe(log, socket), asyncio.Event()
    subscription.replay(announce=complete.set)
    await log.is_being_read.wait()
    log.last_seq = subscription._log.last_seq = 22
    subscription.offer(log._entry(21))
    async with asyncio.timeout(30):
        await complete.wait()
    assert [frame["seq"] for frame in socket.told] == [21, 22]
