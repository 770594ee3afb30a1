"""Database work in threads: whoever stops them does not wait for ever, and gives up nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.db import Error, connections

from agents.models import Session
from agents.runtime import database
from agents.runtime.database import THREADS, DatabaseThreads

PATIENCE_S = 30.0

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def may_go_on() -> AsyncIterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


async def occupied(may_go_on: threading.Event, used: list[Any]) -> DatabaseThreads:
    """Threads that are all at work until they may go on; `used` gets their connections."""
    threads, at_work = DatabaseThreads(), threading.Semaphore(0)

    def work() -> None:
        Session.objects.count()
        used.append(connections["default"])
        at_work.release()
        may_go_on.wait(PATIENCE_S)

    for _ in range(THREADS):
        threads.submit(work)
    for _ in range(THREADS):
        assert await asyncio.to_thread(at_work.acquire, timeout=PATIENCE_S)
    return threads


async def test_the_stop_waits_for_what_is_under_way_and_closes_every_connection(
    may_go_on: threading.Event,
) -> None:
    used: list[Any] = []
    threads = await occupied(may_go_on, used)
    waiting = threads.submit(Session.objects.count)
    stop = asyncio.create_task(threads.stop())
    may_go_on.set()
    await stop
    await threads.stop()
    assert waiting.result() == 0
    assert [connection.connection for connection in used] == [None] * THREADS


async def test_a_stop_that_was_cancelled_is_finished_by_the_next(
    may_go_on: threading.Event,
) -> None:
    used: list[Any] = []
    threads = await occupied(may_go_on, used)
    first = asyncio.create_task(threads.stop())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(threads.stop())
    await asyncio.sleep(0)
    may_go_on.set()
    await second
    assert [connection.connection for connection in used] == [None] * THREADS


async def test_a_database_that_hangs_does_not_hold_up_the_stop(
    may_go_on: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "STOP_S", 0.05)
    used: list[Any] = []
    threads = await occupied(may_go_on, used)
    waiting = threads.submit(Session.objects.count)
    async with asyncio.timeout(PATIENCE_S / 2):
        await threads.stop()
    assert waiting.cancelled()
    # What answers late is closed all the same.
    may_go_on.set()
    monkeypatch.setattr(database, "STOP_S", PATIENCE_S)
    await threads.stop()
    assert [connection.connection for connection in used] == [None] * THREADS


@pytest.mark.both_databases
async def test_a_connection_that_has_just_answered_is_not_asked_whether_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []
    kind = type(connections["default"])
    is_usable = kind.is_usable
    monkeypatch.setattr(kind, "is_usable", lambda self: asked.append(True) or is_usable(self))
    monkeypatch.setattr(database, "FRESH_S", PATIENCE_S)
    monkeypatch.setattr(database, "THREADS", 1)
    threads = DatabaseThreads()
    for _ in range(3):
        await threads.run(Session.objects.count)
    assert asked == []
    monkeypatch.setattr(database, "FRESH_S", 0.0)
    await threads.run(Session.objects.count)
    assert asked == [True]
    await threads.stop()


@pytest.mark.both_databases
async def test_a_connection_that_was_lost_meanwhile_costs_one_piece_of_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if connections["default"].vendor != "mysql":
        pytest.skip("It has no connection to lose.")
    monkeypatch.setattr(database, "FRESH_S", PATIENCE_S)
    monkeypatch.setattr(database, "THREADS", 1)
    threads = DatabaseThreads()

    def lose() -> None:
        connection = connections["default"]
        connection.ensure_connection()
        with connection.copy().cursor() as other:
            other.execute(f"KILL {connection.connection.thread_id()}")

    await threads.run(lose)
    with pytest.raises(Error):
        await threads.run(Session.objects.count)
    assert await threads.run(Session.objects.count) == 0
    await threads.stop()
