"""A lease is kept by a process that moves, however busy it is, and by no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection, connections

from agents.log import barriers
from agents.log.commit import Batch
from agents.models import LEASE_HOLDS, Server
from agents.ownership import lease, servers
from agents.ownership.servers import Renewal
from tests.agents.test_session_property import PATIENCE_S, Story, stage

pytestmark = pytest.mark.django_db(transaction=True)

LEASE_S = 1.0
GOING_AWAY = 4012
READS = 4_000
SAY = ("say", "a", "enqueue")


@pytest.fixture
async def story(settings: Any) -> AsyncIterator[Story]:
    """A session at a server whose lease is short."""
    settings.MYAGENT_LEASE_S, settings.MYAGENT_RENEW_S = LEASE_S, 0.05
    settings.MYAGENT_ADOPT_S = 60.0
    with stage() as agents:
        story = Story(agents, "tested")
        await story.begin()
        yield story
        for conversations in story.all_conversations:
            await conversations.stop()


@pytest.fixture
async def may_go_on() -> AsyncIterator[threading.Event]:
    """What a test holds up goes on once this is set, at the latest at the test's end."""
    event = threading.Event()
    yield event
    event.set()


def until_of(server_id: str) -> datetime:
    return Server.objects.get(pk=server_id).lease_until


def judges_from(server_id: str) -> datetime:
    found = Server.objects.get(pk=server_id).judges_from
    assert found is not None
    return found


def holds(server_id: str) -> bool:
    return Server.objects.filter(LEASE_HOLDS, pk=server_id).exists()


async def until(fact: Callable[[], bool]) -> None:
    """Waits for a fact in the database, which sends no event."""
    async with asyncio.timeout(PATIENCE_S):
        while not await sync_to_async(fact)():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def until_it_outlives_itself(server_id: str) -> None:
    """Waits until the lease holds for longer than it could without being renewed."""
    first = await sync_to_async(until_of)(server_id)
    await until(lambda: until_of(server_id) > first + timedelta(seconds=LEASE_S))


@pytest.mark.both_databases
async def test_a_lease_is_renewed_while_thousands_of_reads_wait(
    story: Story, may_go_on: threading.Event
) -> None:
    reads = [story.conversations.database.submit(may_go_on.wait, PATIENCE_S) for _ in range(READS)]
    await until_it_outlives_itself(story.conversations.lease.server_id)
    assert not any(read.done() for read in reads)


@pytest.mark.both_databases
async def test_a_server_with_thousands_of_reads_learns_that_its_lease_was_lost(
    story: Story, may_go_on: threading.Event
) -> None:
    lost_id = story.conversations.lease.server_id
    for _ in range(READS):
        story.conversations.database.submit(may_go_on.wait, PATIENCE_S)
    await sync_to_async(servers.end)(lost_id)
    await until(lambda: story.conversations.lease.server_id != lost_id)
    assert story.conversations.lease.server_id != lost_id
    new = await Server.objects.aget(pk=story.conversations.lease.server_id)
    assert new.judges_from is not None
    assert new.judges_from - new.started_at >= timedelta(seconds=LEASE_S)
    await until_it_outlives_itself(story.conversations.lease.server_id)


async def test_a_hung_event_loop_is_not_kept_alive(story: Story) -> None:
    server_id, has_lapsed = story.conversations.lease.server_id, threading.Event()
    before = await sync_to_async(judges_from)(server_id)

    def watch() -> None:
        try:
            while holds(server_id):
                has_lapsed.wait(0.005)
            has_lapsed.set()
        finally:
            connection.close()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    # The loop stands still meanwhile: it is this thread's.
    watcher.join(PATIENCE_S)
    assert has_lapsed.is_set()
    await until(lambda: holds(server_id))
    # It waits for the others again, from the moment of its renewal.
    assert await sync_to_async(judges_from)(server_id) > before


async def test_a_hung_journal_is_not_kept_alive(
    story: Story, may_go_on: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(barriers, "reach", lambda *_: may_go_on.wait(PATIENCE_S))
    await story.do(SAY)
    await until(lambda: not holds(story.conversations.lease.server_id))
    may_go_on.set()
    await until(lambda: holds(story.conversations.lease.server_id))


async def test_a_journal_that_waits_for_the_database_is_kept_alive(
    story: Story, may_go_on: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Batch.commit

    def wait_and_commit(batch: Batch) -> Any:
        may_go_on.wait(PATIENCE_S)
        return commit(batch)

    monkeypatch.setattr(Batch, "commit", wait_and_commit)
    await story.do(SAY)
    await until_it_outlives_itself(story.conversations.lease.server_id)


async def test_a_journal_that_tries_again_and_again_is_kept_alive(
    story: Story, may_go_on: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Batch.commit

    def be_away(batch: Batch) -> Any:
        if may_go_on.is_set():
            return commit(batch)
        raise OperationalError(2006, "server has gone away")

    monkeypatch.setattr(Batch, "commit", be_away)
    await story.do(SAY)
    await until_it_outlives_itself(story.conversations.lease.server_id)


async def test_an_outage_does_not_end_the_renewals(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    server_id, renew, tries = (
        story.conversations.lease.server_id,
        servers.renew,
        threading.Semaphore(0),
    )

    def be_away(*_: Any) -> Renewal:
        tries.release()
        raise OperationalError(2006, "server has gone away")

    monkeypatch.setattr(servers, "renew", be_away)
    for _ in range(2):
        assert await asyncio.to_thread(tries.acquire, timeout=PATIENCE_S)
    monkeypatch.setattr(servers, "renew", renew)
    await until_it_outlives_itself(server_id)


async def test_the_row_tells_what_the_server_says_of_itself(story: Story) -> None:
    def report() -> dict[str, Any]:
        found: dict[str, Any] = Server.objects.get(pk=story.conversations.lease.server_id).report
        return found

    await until(lambda: report().get("active_sessions") == 1)
    story.conversations.connection_count = lambda: 7
    await until(lambda: report()["connections"] == 7)


@pytest.mark.both_databases
async def test_the_end_gives_up_the_lease_and_closes_the_connection(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    used, retire = [], servers.retire

    def note_connection(server_id: str) -> None:
        # Django's `connection` is another in every thread.
        used.append(connections["default"])
        retire(server_id)

    monkeypatch.setattr(servers, "retire", note_connection)
    await story.conversations.lease.end()
    await story.conversations.lease.end()
    assert [opened.connection for opened in used] == [None]
    assert not await sync_to_async(holds)(story.conversations.lease.server_id)


async def test_a_database_that_hangs_does_not_hold_up_the_end(
    story: Story, may_go_on: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    server_id, renew, hangs = (
        story.conversations.lease.server_id,
        servers.renew,
        threading.Event(),
    )

    def hang(*args: Any) -> Renewal:
        hangs.set()
        may_go_on.wait(PATIENCE_S)
        return renew(*args)

    monkeypatch.setattr(servers, "renew", hang)
    monkeypatch.setattr(lease, "END_S", 0.05)
    assert await asyncio.to_thread(hangs.wait, PATIENCE_S)
    async with asyncio.timeout(PATIENCE_S):
        await story.conversations.lease.end()
    # What was asked for is done as soon as the database answers.
    may_go_on.set()
    await until(lambda: Server.objects.filter(pk=server_id, ended_at__isnull=False).exists())


async def test_an_end_that_was_cancelled_is_finished_by_the_next(
    story: Story, may_go_on: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    retire, begun = servers.retire, threading.Event()

    def wait_and_retire(server_id: str) -> None:
        begun.set()
        may_go_on.wait(PATIENCE_S)
        retire(server_id)

    monkeypatch.setattr(servers, "retire", wait_and_retire)
    first = asyncio.create_task(story.conversations.lease.end())
    assert await asyncio.to_thread(begun.wait, PATIENCE_S)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    may_go_on.set()
    await story.conversations.lease.end()
    assert not await sync_to_async(holds)(story.conversations.lease.server_id)


async def test_what_a_cancelled_start_has_registered_is_retired(
    may_go_on: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    register, begun = servers.register, threading.Event()

    def wait_and_register(*args: Any) -> None:
        begun.set()
        may_go_on.wait(PATIENCE_S)
        register(*args)

    monkeypatch.setattr(servers, "register", wait_and_register)
    with stage() as agents:
        conversations = Story(agents, "tested").new_conversations()
        start = asyncio.create_task(conversations.start())
        assert await asyncio.to_thread(begun.wait, PATIENCE_S)
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        may_go_on.set()
        await conversations.stop()
    assert await Server.objects.acount() == 1
    assert not await Server.objects.filter(ended_at__isnull=True).aexists()
