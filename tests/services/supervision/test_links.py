"""The supervisor's links: held to whatever it is told, and what they tell is written down once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from agents.runs import link_keeper
from agents.runs.link import Link
from agents.runs.worker_process import Paths
from agents.runtime.database import DatabaseThreads
from myagent.worker.protocol import AgentInfo
from services import doorbell
from services.models import Instance, Service
from services.supervision.links import Links, note_ready
from tests.inline_worker import InlineWorker, inline_worker
from tests.services import rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

PATIENCE_S = 20.0


async def nobody() -> Any:
    raise AssertionError("nobody asks the agent")


@pytest.fixture
def instance(transactional_db: None) -> Instance:
    return rows.instance(rows.service("shop"), Instance.State.STARTING)


@pytest.fixture
def worker(instance: Instance) -> Iterator[InlineWorker]:
    with inline_worker(nobody, info=AgentInfo("clerk"), instance_id=instance.pk) as worker:
        place = Paths.of(instance.pk).socket
        place.symlink_to(worker.path)
        yield worker
        place.unlink()


class Kept:
    """Links, and whether they have woken their owner."""

    def __init__(self, database: DatabaseThreads) -> None:
        self.woken = asyncio.Event()
        self.links = Links(database, self.woken.set)

    async def to(self, instance: Instance, *, not_as: Link | None = None) -> Link:
        """The link to the instance, once there is one that is not the former."""
        async with asyncio.timeout(PATIENCE_S):
            while (link := self.links.of(instance.pk)) in (None, not_as):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert link is not None
        return link


@pytest.fixture
async def kept(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kept]:
    monkeypatch.setattr(link_keeper, "AGAIN_S", 0.01)
    database = DatabaseThreads()
    kept = Kept(database)
    yield kept
    await kept.links.close()
    await database.stop()


async def test_a_worker_that_is_ready_is_written_down_and_wakes_the_supervisor(
    kept: Kept, instance: Instance, worker: InlineWorker
) -> None:
    kept.links.keep({instance.pk: ""})
    async with asyncio.timeout(PATIENCE_S):
        await kept.woken.wait()
    found = await Instance.objects.select_related("service").aget(pk=instance.pk)
    assert found.ready_at is not None
    assert found.service.agent["name"] == "clerk"


async def test_a_link_that_breaks_wakes_the_supervisor_and_is_made_again(
    kept: Kept, instance: Instance, worker: InlineWorker
) -> None:
    kept.links.keep({instance.pk: ""})
    link = await kept.to(instance)
    kept.woken.clear()
    link.close()
    async with asyncio.timeout(PATIENCE_S):
        await kept.woken.wait()
    again = await kept.to(instance, not_as=link)
    assert kept.links.silences() == {instance.pk: 0.0}
    assert not again.is_closed


async def test_a_worker_that_is_to_leave_is_asked_over_its_link(
    kept: Kept, instance: Instance, worker: InlineWorker
) -> None:
    kept.links.keep({instance.pk: ""})
    kept.links.drain({instance.pk, "one without a link"})
    link = await kept.to(instance)
    kept.links.drain({instance.pk})
    # It had no runs: it ends at once.
    async with asyncio.timeout(PATIENCE_S):
        await link.until_closed()
    assert link.is_draining


async def test_a_link_that_is_not_wanted_any_more_ends(
    kept: Kept, instance: Instance, worker: InlineWorker
) -> None:
    kept.links.keep({instance.pk: ""})
    link = await kept.to(instance)
    kept.links.keep({})
    async with asyncio.timeout(PATIENCE_S):
        await link.until_closed()
    assert kept.links.of(instance.pk) is None


async def test_a_worker_that_does_not_listen_yet_is_waited_for(
    kept: Kept, instance: Instance
) -> None:
    kept.links.keep({instance.pk: ""})
    await asyncio.sleep(0)
    with inline_worker(nobody, instance_id=instance.pk) as worker:
        place = Paths.of(instance.pk).socket
        place.symlink_to(worker.path)
        await kept.to(instance)
        await kept.links.close()
        place.unlink()


def test_it_is_written_down_once_that_a_worker_is_ready(instance: Instance) -> None:
    note_ready(instance.pk, {"name": "first"})
    rung = doorbell.revision()
    note_ready(instance.pk, {"name": "second"})
    note_ready("nobody", {"name": "third"})
    assert Service.objects.get().agent == {"name": "first"}
    assert doorbell.revision() == rung
