"""Whoever stops a server, or its conversations, is not held up, and what was begun is finished."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from django.db import OperationalError

from agents.log import journal
from agents.log.commit import Batch
from agents.models import Event, Server
from agents.ownership import lease, servers
from agents.runtime import background, database
from agents.serving import HasLeft, ServerProcess
from agents.sessions.conversations import Conversations
from tests.agents.test_session_property import PATIENCE_S, Story, stage

pytestmark = pytest.mark.django_db(transaction=True)

SAY = ("say", "a", "enqueue")


class Gate:
    """Whoever comes through waits until it is open."""

    def __init__(self) -> None:
        self._is_open = threading.Event()
        self._arrived = threading.Event()

    def open(self) -> None:
        self._is_open.set()

    def before(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def wait(*args: Any) -> Any:
            self._arrived.set()
            self._is_open.wait(PATIENCE_S)
            return work(*args)

        return wait

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._arrived.wait, PATIENCE_S)


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
async def story() -> AsyncIterator[Story]:
    with stage() as agents:
        yield Story(agents, "tested")


class NoWorkers:
    """A `Feeder` that brings none."""

    def launch(self) -> None:
        pass

    async def start(self) -> None:
        pass

    async def cease(self) -> None:
        pass

    async def stop(self) -> None:
        pass


@pytest.fixture
async def server(story: Story) -> ServerProcess:
    return ServerProcess(story.new_conversations(), NoWorkers())


async def cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def has_left(conversations: Conversations) -> bool:
    """Nothing of it is alive, here or in the database."""
    names = {thread.name for thread in threading.enumerate()}
    is_registered = await Server.objects.filter(ended_at__isnull=True).aexists()
    return not (is_registered or names & {"lease", "journal"})


async def test_a_stop_that_was_cancelled_is_finished_by_the_next(
    story: Story, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    await story.begin()
    monkeypatch.setattr(Batch, "commit", gate.before(Batch.commit))
    await story.do(SAY)
    await gate.reached()
    first = asyncio.create_task(story.conversations.stop())
    await asyncio.sleep(0)
    await cancel(first)
    second = asyncio.create_task(story.conversations.stop())
    await asyncio.sleep(0)
    assert not second.done()
    gate.open()
    async with asyncio.timeout(PATIENCE_S):
        await second
    assert await has_left(story.conversations)
    assert await Event.objects.filter(event="user.message").aexists()


async def test_two_stops_at_once_both_wait_until_it_has_left(story: Story) -> None:
    await story.begin()
    await asyncio.gather(story.conversations.stop(), story.conversations.stop())
    assert await has_left(story.conversations)


async def test_a_stop_during_the_start_leaves_nothing_behind(
    story: Story, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "register", gate.before(servers.register))
    conversations = story.new_conversations()
    start = asyncio.create_task(conversations.start())
    await gate.reached()
    stop = asyncio.create_task(conversations.stop())
    await asyncio.sleep(0)
    gate.open()
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(start, stop)
    assert await has_left(conversations)
    # Nor does it start afterwards.
    await conversations.start()
    assert await has_left(conversations)


async def test_a_hub_that_never_started_can_be_stopped(story: Story) -> None:
    conversations = story.new_conversations()
    await conversations.stop()
    await conversations.stop()
    assert await has_left(conversations)


async def test_a_database_that_hangs_everywhere_does_not_hold_up_the_stop(
    story: Story, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in (
        (background, "STOP_S"),
        (database, "STOP_S"),
        (journal, "STOP_S"),
        (lease, "END_S"),
    ):
        monkeypatch.setattr(module, name, 0.05)
    await story.begin()
    monkeypatch.setattr(Batch, "commit", gate.before(Batch.commit))
    monkeypatch.setattr(servers, "retire", gate.before(servers.retire))
    read = story.conversations.database.submit(gate.before(int))
    await story.do(SAY)
    await gate.reached()
    async with asyncio.timeout(PATIENCE_S / 2):
        await story.conversations.stop()
    assert not read.done()
    # What was begun is finished as soon as the database answers.
    gate.open()
    async with asyncio.timeout(PATIENCE_S):
        # A thread's end is no event.
        while not await has_left(story.conversations):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_server_that_is_hurried_while_it_leaves_is_finished_by_the_next_call(
    server: ServerProcess, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.start()
    monkeypatch.setattr(servers, "retire", gate.before(servers.retire))
    leave = asyncio.create_task(server.leave(0))
    await gate.reached()
    await cancel(leave)
    second = asyncio.create_task(server.leave(0))
    await asyncio.sleep(0)
    gate.open()
    async with asyncio.timeout(PATIENCE_S):
        await second
    assert await has_left(server.conversations)


async def test_a_server_may_leave_while_it_starts(
    server: ServerProcess, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "register", gate.before(servers.register))
    start = asyncio.create_task(server.start())
    await gate.reached()
    leave = asyncio.create_task(server.leave(0))
    with pytest.raises(HasLeft):
        await start
    gate.open()
    async with asyncio.timeout(PATIENCE_S):
        await leave
    assert await has_left(server.conversations)
    with pytest.raises(HasLeft):
        await server.start()


class Watched(NoWorkers):
    """Writes down what is asked of it, and whether the server was in the table then."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []

    async def _note(self, name: str) -> None:
        is_registered = await Server.objects.filter(ended_at__isnull=True).aexists()
        self.asked.append((name, is_registered))

    async def start(self) -> None:
        await self._note("start")

    async def cease(self) -> None:
        await self._note("cease")

    async def stop(self) -> None:
        await self._note("stop")


async def test_a_start_that_failed_half_way_is_taken_up_where_it_failed(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeder = Watched()
    server = ServerProcess(story.new_conversations(), feeder)

    def is_away(*_: object) -> None:
        raise OperationalError("away")

    with monkeypatch.context() as outage:
        outage.setattr(servers, "register", is_away)
        with pytest.raises(OperationalError):
            await server.start()
    await server.start()
    await server.leave(0)
    assert feeder.asked == [("start", False), ("cease", True), ("stop", False)]
