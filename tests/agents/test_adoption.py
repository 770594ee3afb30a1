"""What a dead runner left is adopted, and one session that can't be read holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError
from django.db.models.functions import Now

from agents import ownership
from agents.batch import Batch
from agents.models import Event, Run, Runner, Session
from agents.ports import Refused
from tests.agents.leases import renew
from tests.agents.logs import accepted, created, new_ref, new_runner
from tests.agents.test_session_property import PATIENCE_S, Story, agent_loop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def orphan(runner_id: str) -> str:
    """A session with a run that its dead owner has not ended; the run's id."""
    write, ref = created(runner_id), new_ref()
    Batch([write, accepted(write.session_id, 1, ref)]).commit()
    return ref.run_id


async def test_a_session_that_cannot_be_read_holds_up_no_other(stack: ExitStack) -> None:
    story = Story(stack.enter_context(agent_loop()), "tested")
    story.permits.open()
    runner_id = await sync_to_async(new_runner)()
    broken, sound = [await sync_to_async(orphan)(runner_id) for _ in range(2)]
    await Event.objects.filter(run_id=broken).aupdate(payload="not JSON")
    await sync_to_async(ownership.end)(runner_id)
    await story.begin()
    async with asyncio.timeout(PATIENCE_S):
        # The database sends no event.
        while not await Run.objects.filter(pk=sound, ended_at__isnull=False).aexists():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert not await Run.objects.filter(pk=broken, ended_at__isnull=False).aexists()
    await story.hub.stop()


@pytest.mark.both_databases
async def test_who_slept_past_its_own_lease_takes_nobody_for_dead(stack: ExitStack) -> None:
    story = Story(stack.enter_context(agent_loop()), "tested")
    await story.begin()
    hub, lease = story.hub, story.hub.lease
    other_id = await sync_to_async(new_runner)(lease_s=-1)
    run_id = await sync_to_async(orphan)(other_id)
    owned = Session.objects.filter(runs=run_id, runner_id=other_id)
    # The machine slept, and its loops' clock with it: nothing of this was seen by the hub.
    lease._may_expire_at = float("-inf")
    await Runner.objects.filter(pk=lease.runner_id).aupdate(lease_until=Now())
    assert lease.others_may_expire
    await hub._adopt()
    assert await owned.aexists()
    session_id = await owned.values_list("pk", flat=True).aget()
    with pytest.raises(Refused, match="moved"):
        await hub.attach(story.desk, session_id, 0)
    await renew(hub)
    assert not lease.others_may_expire
    await hub._adopt()
    assert await owned.aexists()
    # One that is really gone has not renewed its lease by then.
    lease._may_expire_at = float("-inf")
    await hub._adopt()
    assert not await owned.aexists()
    await hub.stop()


async def test_what_a_start_that_failed_halfway_has_adopted_is_owned_by_the_next(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(stack.enter_context(agent_loop()), "tested")
    dead_id = await sync_to_async(new_runner)()
    runs = [await sync_to_async(orphan)(dead_id) for _ in range(2)]
    await sync_to_async(ownership.end)(dead_id)
    take, has_failed = ownership.take, iter([False, True])

    def take_until_it_is_away(*args: Any) -> ownership.Taken:
        if next(has_failed, False):
            raise OperationalError(2006, "server has gone away")
        return take(*args)

    monkeypatch.setattr(ownership, "take", take_until_it_is_away)
    with pytest.raises(OperationalError):
        await story.begin()
    await story.hub.start()
    owners = Session.objects.filter(runs__in=runs).values_list("runner_id", flat=True)
    assert [owner async for owner in owners] == [story.hub.lease.runner_id] * 2
    await story.hub.stop()
