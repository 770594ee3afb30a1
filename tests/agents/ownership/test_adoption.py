"""What a dead server left is adopted, and one session that can't be read holds up no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError
from django.db.models.functions import Now

from agents.log.commit import Batch
from agents.models import Event, Run, Server, Session
from agents.ownership import servers, taking
from agents.ownership.adoption import adopt
from agents.runtime.database import THREADS
from agents.sessions.opening import ADOPTED_AT_ONCE
from tests.agents.leases import renew
from tests.agents.logs import SERVICE, accepted, created, ended, new_ref, new_server
from tests.agents.test_session_property import PATIENCE_S, Story, stage

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def orphan(server_id: str) -> str:
    """A session with a run that its dead owner has not ended; the run's id."""
    write, ref = created(server_id), new_ref()
    Batch([write, accepted(write.session_id, 1, ref)]).commit()
    return ref.run_id


async def test_a_session_that_cannot_be_read_holds_up_no_other(stack: ExitStack) -> None:
    story = Story(stack.enter_context(stage()), "tested")
    story.permits.open()
    server_id = await sync_to_async(new_server)()
    broken, sound = [await sync_to_async(orphan)(server_id) for _ in range(2)]
    await Event.objects.filter(run_id=broken).aupdate(payload="not JSON")
    await sync_to_async(servers.end)(server_id)
    await story.begin()
    async with asyncio.timeout(PATIENCE_S):
        # The database sends no event.
        while not await Run.objects.filter(pk=sound, ended_at__isnull=False).aexists():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert not await Run.objects.filter(pk=broken, ended_at__isnull=False).aexists()
    await story.conversations.stop()


@pytest.mark.both_databases
async def test_who_slept_past_its_own_lease_takes_nobody_for_dead(stack: ExitStack) -> None:
    story = Story(stack.enter_context(stage()), "tested")
    await story.begin()
    conversations, lease = story.conversations, story.conversations.lease
    other_id = await sync_to_async(new_server)(lease_s=-1)
    run_id = await sync_to_async(orphan)(other_id)
    owned = Session.objects.filter(runs=run_id, owner_id=other_id)
    # The machine slept past the lease, and the server saw nothing of this.
    own = Server.objects.filter(pk=lease.server_id)
    await own.aupdate(lease_until=Now(), judges_from=Now())
    await conversations._adopt()
    assert await owned.aexists()
    session_id = await owned.values_list("pk", flat=True).aget()
    with pytest.raises(taking.OwnedElsewhere):
        await conversations._sessions.opening.open(session_id)
    await renew(conversations)
    await conversations._adopt()
    assert await owned.aexists()
    # One that is really gone has not renewed its lease by then.
    await own.aupdate(judges_from=Now())
    await conversations._adopt()
    assert not await owned.aexists()
    await conversations.stop()


async def orphans(count: int) -> list[str]:
    """Runs that a server which has ended left unfinished."""
    dead_id = await sync_to_async(new_server)()
    runs = [await sync_to_async(orphan)(dead_id) for _ in range(count)]
    await sync_to_async(servers.end)(dead_id)
    return runs


async def owners_of(runs: list[str]) -> list[str | None]:
    owners = Session.objects.filter(runs__in=runs).values_list("owner_id", flat=True)
    return [owner async for owner in owners]


async def until_owned(runs: list[str], story: Story) -> None:
    async with asyncio.timeout(PATIENCE_S):
        # The database sends no event.
        while set(await owners_of(runs)) != {story.conversations.lease.server_id}:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class Held:
    """Sessions that are being taken over wait here until `may_go_on` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, only: set[str] | None = None) -> None:
        self.may_go_on = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.sessions: list[str] = []
        take = taking.take

        def hold(session_id: str, *args: Any) -> taking.Taken:
            if only is None or session_id in only:
                self.sessions.append(session_id)
                self.arrived.release()
                self.may_go_on.wait(PATIENCE_S)
            return take(session_id, *args)

        monkeypatch.setattr(taking, "take", hold)

    async def until_some(self, count: int) -> None:
        for _ in range(count):
            assert await asyncio.to_thread(self.arrived.acquire, timeout=PATIENCE_S)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    held = Held(monkeypatch)
    yield held
    held.may_go_on.set()


async def test_a_server_is_ready_before_it_has_adopted_anything(
    stack: ExitStack, held: Held
) -> None:
    story = Story(stack.enter_context(stage()), "tested")
    runs = await orphans(1)
    async with asyncio.timeout(PATIENCE_S / 2):
        await story.begin()
    await held.until_some(1)
    held.may_go_on.set()
    await until_owned(runs, story)
    await story.conversations.stop()


async def test_adoption_opens_a_few_at_once_and_leaves_threads_to_clients(
    stack: ExitStack, held: Held
) -> None:
    story = Story(stack.enter_context(stage()), "tested")
    runs = await orphans(2 * THREADS)
    await story.begin()
    await held.until_some(ADOPTED_AT_ONCE)
    async with asyncio.timeout(PATIENCE_S / 2):
        await asyncio.gather(*(story.conversations.database.run(int) for _ in range(10 * THREADS)))
    assert len(held.sessions) == ADOPTED_AT_ONCE < THREADS
    held.may_go_on.set()
    await until_owned(runs, story)
    await story.conversations.stop()


async def test_a_client_need_not_wait_for_its_sessions_turn(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(stack.enter_context(stage()), "tested")
    runs = await orphans(2 * THREADS)
    sessions = [
        session_id
        async for session_id in Run.objects.filter(pk__in=runs)
        .order_by("accepted_at", "pk")
        .values_list("session_id", flat=True)
    ]
    held = Held(monkeypatch, only=set(sessions[:-1]))
    await story.begin()
    await held.until_some(ADOPTED_AT_ONCE)
    async with asyncio.timeout(PATIENCE_S / 2):
        await story.conversations.port.attach(story.socket, sessions[-1], 0)
        await story.socket.hear("agent.replay_complete")
    held.may_go_on.set()
    await until_owned(runs, story)
    await story.conversations.stop()


@pytest.mark.parametrize("is_stopped", [False, True], ids=["drain", "stop"])
async def test_who_leaves_adopts_no_more(stack: ExitStack, held: Held, *, is_stopped: bool) -> None:
    story = Story(stack.enter_context(stage()), "tested")
    story.permits.open()
    await orphans(2 * THREADS)
    await story.begin()
    await held.until_some(ADOPTED_AT_ONCE)
    if is_stopped:
        stop = asyncio.create_task(story.conversations.stop())
        await asyncio.sleep(0)
        held.may_go_on.set()
        await stop
        assert story.conversations.session_count == 0, "It has begun to hold some after it left."
    else:
        story.conversations.is_draining = True
        held.may_go_on.set()
        async with asyncio.timeout(PATIENCE_S):
            await story.conversations.drain(PATIENCE_S)
    await story.conversations.stop()
    assert len(held.sessions) == ADOPTED_AT_ONCE


async def test_what_an_outage_kept_from_adoption_is_adopted_by_its_repetition(
    stack: ExitStack, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MYAGENT_ADOPT_S = 0.05
    story = Story(stack.enter_context(stage()), "tested")
    runs = await orphans(4)
    take, is_away = taking.take, iter([False, True, True])

    def take_or_be_away(*args: Any) -> taking.Taken:
        if next(is_away, False):
            raise OperationalError(2006, "server has gone away")
        return take(*args)

    monkeypatch.setattr(taking, "take", take_or_be_away)
    await story.begin()
    await until_owned(runs, story)
    assert next(is_away, None) is None
    await story.conversations.stop()


async def test_a_start_that_the_database_refused_may_be_tried_again(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(stack.enter_context(stage()), "tested")
    runs, register = await orphans(1), servers.register

    def be_away(*_: Any) -> None:
        raise OperationalError(2006, "server has gone away")

    monkeypatch.setattr(servers, "register", be_away)
    with pytest.raises(OperationalError):
        await story.begin()
    monkeypatch.setattr(servers, "register", register)
    await story.conversations.start()
    await until_owned(runs, story)
    await story.conversations.stop()


@pytest.mark.both_databases
def test_of_a_closed_session_only_what_its_readers_need_is_read() -> None:
    server_id = new_server()
    write, ref = created(server_id), new_ref()
    session_id = write.session_id
    Batch([write, accepted(session_id, 1, ref), ended(session_id, 1, ref)]).commit()
    assert adopt(session_id, [SERVICE], server_id).opened.history.messages()
    Session.objects.filter(pk=session_id).update(closed_at=Now())
    opened = adopt(session_id, [SERVICE], server_id).opened
    assert not opened.history.messages()
    assert opened.message_ids == {ref.message_id: 2}


@pytest.mark.both_databases
def test_a_closed_session_is_nothing_to_adopt() -> None:
    server_id = new_server()
    run_id = orphan(server_id)
    servers.end(server_id)
    assert len(taking.adoptable([SERVICE], "")) == 1
    Session.objects.filter(runs=run_id).update(closed_at=Now())
    assert not taking.adoptable([SERVICE], "")
