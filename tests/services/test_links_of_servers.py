"""What a server learns from the rows of a service whose workers it has links to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from agents.runs.link import Link
from agents.runs.worker_process import Paths
from agents.runs.workers import Workers
from agents.runtime.database import DatabaseThreads
from myagent.runnable import Runnable
from myagent.worker.protocol import AgentInfo
from services import doorbell
from services.models import Instance, Service
from services.routing.directory import SiteDirectory
from services.supervision import links
from services.supervision.links import Links
from tests.inline_worker import InlineWorker, inline_worker
from tests.services import rows

pytestmark = [pytest.mark.django_db(transaction=True)]

PATIENCE_S = 20


@pytest.fixture(autouse=True)
def var_dir(settings: Any) -> Iterator[None]:
    with TemporaryDirectory(prefix="v") as folder:
        settings.VAR_DIR = Path(folder)
        yield


async def create() -> Runnable:
    raise AssertionError("nobody asks the agent")


async def until(fact: Callable[[], Any]) -> Any:
    """What it returns, once that is true: what is waited for comes from other threads."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := fact()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return found


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[SiteDirectory, Link]]:
    """A server's directory, and its link to the one worker of the service."""
    workers = Workers()
    directory = SiteDirectory(workers)
    await directory.start()
    try:
        yield directory, await until(lambda: next(iter(workers.of("weather")), None))
    finally:
        await directory.stop()
        workers.close()


async def placed(worker: InlineWorker, instance: Instance) -> None:
    place = Paths.of(instance.pk).socket
    place.unlink(missing_ok=True)
    place.symlink_to(worker.path)


@pytest.mark.parametrize("state", [Instance.State.DRAINING, Instance.State.STOPPING])
async def test_a_worker_that_is_to_leave_counts_as_draining_though_it_does_not_say_so(
    state: str,
) -> None:
    service: Service = await sync_to_async(rows.service)("weather")
    instance = await sync_to_async(rows.instance)(service)
    with inline_worker(create, instance_id=instance.pk) as worker:
        await placed(worker, instance)
        async with linked() as (_, link):
            assert not link.is_draining
            await Instance.objects.filter(pk=instance.pk).aupdate(state=state)
            await sync_to_async(doorbell.ring)(service.pk)
            await until(lambda: link.is_draining)


async def test_a_worker_that_is_ended_for_its_own_fault_does_not() -> None:
    service: Service = await sync_to_async(rows.service)("weather")
    instance = await sync_to_async(rows.instance)(service)
    with inline_worker(create, instance_id=instance.pk) as worker:
        await placed(worker, instance)
        async with linked() as (directory, link):
            others = Instance.objects.filter(pk=instance.pk)
            await others.aupdate(state=Instance.State.STOPPING, cause=Instance.Cause.UNHEALTHY)
            await Service.objects.filter(pk=service.pk).aupdate(max_sessions=7)
            await sync_to_async(doorbell.ring)(service.pk)
            # Its last look has seen the change of the service, and so that of the instance.
            await until(lambda: (found := directory.find("weather")) and found.max_sessions == 7)
            assert not link.is_draining


async def test_what_can_not_be_written_of_a_worker_keeps_nobody_from_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[str] = []
    is_tried = asyncio.Event()
    loop = asyncio.get_running_loop()

    def note_ready(instance_id: str, agent: dict[str, Any]) -> None:
        if agent["name"] == "first":
            loop.call_soon_threadsafe(is_tried.set)
            raise links.DatabaseFailure("no room")
        written.append(agent["name"])

    monkeypatch.setattr(links, "note_ready", note_ready)
    service: Service = await sync_to_async(rows.service)("weather")
    instance = await sync_to_async(rows.instance)(service, Instance.State.STARTING)
    database = DatabaseThreads()
    kept = Links(database, lambda: None)
    try:
        with inline_worker(create, info=AgentInfo("first")) as worker:
            await placed(worker, instance)
            kept.keep({instance.pk: ""})
            await is_tried.wait()
        with inline_worker(create, info=AgentInfo("second")) as worker:
            await placed(worker, instance)
            await until(lambda: written)
            assert written == ["second"]
            await kept.close()
    finally:
        await kept.close()
        await database.stop()
