"""What the supervisor's process does beside its passes, each in its own time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from django.db.models.functions import Now
from django.utils import timezone
from websockets.asyncio.server import ServerConnection, serve

from agents.ids import new_id
from agents.models import Runner
from services.launchers import LaunchSpec, Polled
from services.models import HealthCheck, Instance, Service, Supervisor
from services.supervisor_process import SupervisorProcess
from tests.services import rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

PATIENCE_S = 20


class AllLive:
    """A launcher of which everything lives, and nothing is ever launched."""

    def launch(self, spec: LaunchSpec) -> Polled:
        raise AssertionError("nothing is to be launched")

    def poll(self, instance_id: str, handle: str) -> Polled:
        return Polled(handle, None, is_alive=True)

    def terminate(self, instance_id: str, handle: str, *, by_force: bool) -> None:
        raise AssertionError("nothing is to end")

    def logs(self, log: Path, lines: int) -> Sequence[str]:
        return []


@asynccontextmanager
async def supervision() -> AsyncIterator[None]:
    process = SupervisorProcess(health_interval_s=0.05, launcher=AllLive())
    running = asyncio.create_task(process.run())
    try:
        yield
    finally:
        process.leave()
        await running


@asynccontextmanager
async def never_answering() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A port that takes connections and says nothing; the event: somebody waits there."""
    is_asked, may_end = asyncio.Event(), asyncio.Event()

    async def keep_waiting(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_asked.set()
        await may_end.wait()
        writer.close()

    async with await asyncio.start_server(keep_waiting, "127.0.0.1", 0) as server:
        try:
            yield server.sockets[0].getsockname()[1], is_asked
        finally:
            may_end.set()


@asynccontextmanager
async def greeting() -> AsyncIterator[tuple[int, asyncio.Queue[None]]]:
    """The port of something that greets like an agent; an item for each greeting."""
    greeted: asyncio.Queue[None] = asyncio.Queue()

    async def greet(socket: ServerConnection) -> None:
        await socket.send(orjson.dumps({"event": "system.connected"}))
        greeted.put_nowait(None)
        await socket.wait_closed()

    async with serve(greet, "127.0.0.1", 0) as server:
        yield next(iter(server.sockets)).getsockname()[1], greeted


async def test_a_service_elsewhere_that_hangs_holds_up_no_check_of_ours(settings: Any) -> None:
    settings.MYAGENT_HEALTH_TIMEOUT_S = 600
    async with never_answering() as (far_port, is_asked), greeting() as (port, greeted):
        await sync_to_async(rows.service)("far", url=f"ws://127.0.0.1:{far_port}/")
        ours: Service = await sync_to_async(rows.service)("ours")
        await sync_to_async(rows.instance)(ours, port=port)
        async with supervision(), asyncio.timeout(PATIENCE_S):
            await is_asked.wait()
            while not greeted.empty():
                greeted.get_nowait()
            for _ in range(3):
                await greeted.get()
        checks = HealthCheck.objects.values_list("service__name", flat=True)
        assert {name async for name in checks} == {"ours"}


def another_machine_s(lease_s: float) -> Instance:
    """An instance there, whose runner's lease runs so much longer, or ran out so long ago."""
    now = timezone.now()
    runner = Runner.objects.create(
        id=new_id(),
        service="far",
        host="elsewhere",
        process="boot/namespace/1/1",
        started_at=now,
        lease_until=now + timedelta(seconds=lease_s),
    )
    return rows.instance(rows.service("far"), node="elsewhere", ready_at=now, runner=runner)


async def test_after_an_outage_no_machine_takes_the_others_for_dead() -> None:
    instance = await sync_to_async(another_machine_s)(lease_s=-1)
    process = SupervisorProcess(launcher=AllLive())
    work, passes = process._supervisor.work, asyncio.Queue[None]()
    loop = asyncio.get_running_loop()

    def work_and_tell() -> bool:
        is_busy = work()
        loop.call_soon_threadsafe(passes.put_nowait, None)
        return is_busy

    process._supervisor.work = work_and_tell  # type: ignore[method-assign]
    running = asyncio.create_task(process.run())
    async with asyncio.timeout(PATIENCE_S):
        await passes.get()
        # What was known of leases before the outage counts no more than what is known at a start.
        process._trusts_leases_at = 0.0
        await Runner.objects.aupdate(lease_until=Now() + timedelta(minutes=1))
        await passes.get()
        lapsed = Now() - timedelta(seconds=1)
        await Supervisor.objects.aupdate(lease_until=lapsed)
        await Runner.objects.aupdate(lease_until=lapsed)
        while not passes.empty():
            passes.get_nowait()
        for _ in range(2):
            await passes.get()
    process.leave()
    await running
    await instance.arefresh_from_db()
    assert (instance.state, instance.live_slot) == (Instance.State.RUNNING, 0)


async def test_a_machine_that_stays_away_is_taken_for_dead(settings: Any) -> None:
    settings.MYAGENT_LEASE_S, settings.MYAGENT_RENEW_S = 2.0, 0.2
    instance = await sync_to_async(another_machine_s)(lease_s=-1)
    await Service.objects.aupdate(auto_restart=False)
    async with supervision(), asyncio.timeout(PATIENCE_S):
        # The database sends no event.
        while await Instance.objects.filter(live_slot=0).aexists():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await instance.arefresh_from_db()
    assert instance.state == Instance.State.ERROR
