"""What the supervisor's process does beside its passes, each in its own time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db.models.functions import Now
from django.utils import timezone

from agents.runs.worker_process import Paths
from myagent.runnable import Runnable
from myagent.worker.process import ORPHAN_AFTER_S
from myagent.worker.protocol import AgentInfo, ToolInfo
from services.models import HealthCheck, Instance, Service, Supervisor
from services.supervision.launchers import LaunchSpec, Polled
from services.supervision.launchers.sockets import UNIX_SOCKETS
from services.supervision.one_worker import OneWorker
from services.supervision.supervisor_process import SupervisorProcess
from tests.inline_worker import InlineWorker, inline_worker
from tests.services import rows


@pytest.fixture(autouse=True)
def var_dir(settings: Any) -> Iterator[None]:
    # Of a short name: that of a socket may have 107 bytes only.
    with TemporaryDirectory(prefix="v") as folder:
        settings.VAR_DIR = Path(folder)
        yield


pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

PATIENCE_S = 20


class AllLive:
    """A launcher of which everything lives, and nothing is ever launched.

    `on_look` is called at each look at an instance; `killed` are the ids of
    those that were ended, where anything may.
    """

    sockets = UNIX_SOCKETS

    def __init__(self, *, may_end: bool = False) -> None:
        self.on_look: Callable[[], Any] = lambda: None
        self.killed: set[str] = set()
        self._may_end = may_end

    def launch(self, spec: LaunchSpec) -> Polled:
        raise AssertionError("nothing is to be launched")

    def poll(self, instance_id: str, handle: str) -> Polled:
        self.on_look()
        return Polled(handle, None, is_alive=True)

    def terminate(self, instance_id: str, handle: str, *, by_force: bool) -> None:
        assert self._may_end, "nothing is to end"
        assert by_force
        self.killed.add(instance_id)

    def tidy(self) -> None:
        """Nothing is left of anything."""

    def logs(self, log: Path, lines: int) -> Sequence[str]:
        return []

    def close(self) -> None:
        """It has nothing in the background."""


@asynccontextmanager
async def supervision(launcher: AllLive | None = None) -> AsyncIterator[SupervisorProcess]:
    process = SupervisorProcess(health_interval_s=0.05, launcher=launcher or AllLive())
    running = asyncio.create_task(process.run())
    try:
        yield process
    finally:
        process.leave()
        await running


@contextmanager
def worker_of(instance: Instance, **options: Any) -> Iterator[InlineWorker]:
    """A worker that listens where the instance's does."""

    async def create() -> Runnable:
        raise AssertionError("nobody asks the agent")

    with inline_worker(create, instance_id=instance.pk, **options) as worker:
        place = Paths.of(instance.pk).socket
        place.symlink_to(worker.path)
        try:
            yield worker
        finally:
            place.unlink()


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


async def until(fact: Callable[[], Awaitable[Any]]) -> Any:
    """What it returns, once that is true: the database sends no event."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await fact()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found


async def test_a_service_elsewhere_that_hangs_holds_up_no_check_of_ours(settings: Any) -> None:
    settings.MYAGENT_HEALTH_TIMEOUT_S = 600
    async with never_answering() as (far_port, is_asked):
        await sync_to_async(rows.service)("far", url=f"ws://127.0.0.1:{far_port}/")
        ours: Service = await sync_to_async(rows.service)("ours")
        with worker_of(await sync_to_async(rows.instance)(ours)):
            async with supervision():
                async with asyncio.timeout(PATIENCE_S):
                    await is_asked.wait()
                before = await HealthCheck.objects.acount()

                async def is_checked() -> bool:
                    return await HealthCheck.objects.acount() >= before + 3

                await until(is_checked)
        checks = HealthCheck.objects.values_list("service__name", flat=True)
        assert {name async for name in checks} == {"ours"}
        assert not await HealthCheck.objects.filter(is_healthy=False).aexists()


async def test_by_its_links_it_learns_what_is_ready_and_what_it_reports() -> None:
    service: Service = await sync_to_async(rows.service)("weather", Service.Status.STARTING)
    starting = await sync_to_async(rows.instance)(service, Instance.State.STARTING)
    info = AgentInfo(
        "forecaster",
        "Knows.",
        [ToolInfo("sky", "Looks.", False, False, None)],
        "gpt-x",
        7,
        examples=("How is it?",),
    )
    async with supervision():
        with worker_of(starting, info=info):

            async def has_reported() -> bool:
                await service.arefresh_from_db()
                await starting.arefresh_from_db()
                return service.status == Service.Status.RUNNING and bool(starting.report)

            await until(has_reported)
    assert starting.state == Instance.State.RUNNING
    assert service.agent == {
        "name": "forecaster",
        "description": "Knows.",
        "model": "gpt-x",
        "max_steps": 7,
        "enable_tracing": True,
        "is_continuable": True,
        "examples": ["How is it?"],
        "tools": [
            {
                "name": "sky",
                "description": "Looks.",
                "idempotent": False,
                "requires_confirmation": False,
                "timeout_s": None,
            }
        ],
    }
    assert set(starting.report) == {"running", "sessions", "lag_ms", "abandoned"}


async def test_the_end_of_a_link_is_a_reason_to_look_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next look by itself is never."""
    monkeypatch.setattr("services.supervision.supervisor_process.PASS_S", 1e9)
    monkeypatch.setattr("services.doorbell.revision", lambda: (0, 0))
    service: Service = await sync_to_async(rows.service)("weather")
    instance = await sync_to_async(rows.instance)(service, ready_at=timezone.now())
    launcher = AllLive()
    async with supervision(launcher) as process:
        with worker_of(instance):

            async def is_linked() -> bool:
                return process._links.of(instance.pk) is not None

            await until(is_linked)
            loop, looks = asyncio.get_running_loop(), asyncio.Event()
            launcher.on_look = lambda: loop.call_soon_threadsafe(looks.set)
        async with asyncio.timeout(PATIENCE_S):
            await looks.wait()


async def test_a_worker_that_is_debugged_misses_no_check(settings: Any) -> None:
    settings.MYAGENT_HEALTH_TIMEOUT_S = 0.05
    service: Service = await sync_to_async(rows.service)("weather")
    instance = await sync_to_async(rows.instance)(service, ready_at=timezone.now())
    goes_on = threading.Event()
    with worker_of(instance) as worker:
        async with supervision() as process:

            async def is_linked() -> bool:
                return process._links.of(instance.pk) is not None

            await until(is_linked)

            def sit_at_the_prompt() -> None:
                worker.server.tell_debugging(is_on=True)
                goes_on.wait(PATIENCE_S)

            worker.call(sit_at_the_prompt)
            before = await HealthCheck.objects.acount()

            async def is_checked() -> bool:
                return await HealthCheck.objects.acount() >= before + 5

            try:
                await until(is_checked)
            finally:
                goes_on.set()
            assert process._links.silences() == {instance.pk: 0.0}
        await instance.arefresh_from_db()
    assert (instance.state, instance.misses) == (Instance.State.RUNNING, 0)


async def test_a_worker_that_is_silent_for_too_long_is_ended(settings: Any) -> None:
    settings.MYAGENT_WORKER_STUCK_S = 1.5
    service: Service = await sync_to_async(rows.service)("weather")
    instance = await sync_to_async(rows.instance)(service, ready_at=timezone.now())
    launcher, goes_on = AllLive(may_end=True), threading.Event()
    with worker_of(instance) as worker:
        async with supervision(launcher) as process:

            async def is_linked() -> bool:
                return process._links.of(instance.pk) is not None

            await until(is_linked)
            worker.call(goes_on.wait, PATIENCE_S)

            async def is_ended() -> bool:
                return instance.pk in launcher.killed

            try:
                await until(is_ended)
            finally:
                goes_on.set()
        await instance.arefresh_from_db()
    assert (instance.state, instance.cause) == (Instance.State.STOPPING, Instance.Cause.UNHEALTHY)


async def test_one_whose_service_is_gone_before_it_takes_its_lease_is_done() -> None:
    service: Service = await sync_to_async(rows.service)("weather")
    worker = OneWorker(service, on_ready=lambda pid, address: None)
    await Service.objects.all().adelete()
    async with asyncio.timeout(PATIENCE_S):
        await worker.run()
    assert not await Supervisor.objects.aexists()


def another_machine_s(lease_s: float) -> Instance:
    """An instance there, whose supervisor's lease runs so much longer, or ran out so long ago."""
    now = timezone.now()
    Supervisor.objects.create(
        node="elsewhere",
        process="boot/namespace/1/1",
        started_at=now,
        lease_until=now + timedelta(seconds=lease_s),
    )
    return rows.instance(rows.service("far"), node="elsewhere", ready_at=now)


async def test_after_an_outage_no_machine_takes_the_others_for_dead() -> None:
    instance = await sync_to_async(another_machine_s)(lease_s=-2 * ORPHAN_AFTER_S)
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
        elsewhere = Supervisor.objects.filter(node="elsewhere")
        await elsewhere.aupdate(lease_until=Now() + timedelta(minutes=1))
        await passes.get()
        await Supervisor.objects.aupdate(lease_until=Now() - timedelta(seconds=2 * ORPHAN_AFTER_S))
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
    instance = await sync_to_async(another_machine_s)(lease_s=-2 * ORPHAN_AFTER_S)
    await Service.objects.aupdate(auto_restart=False)
    async with supervision(), asyncio.timeout(PATIENCE_S):
        # The database sends no event.
        while await Instance.objects.filter(live_slot=0).aexists():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await instance.arefresh_from_db()
    assert instance.state == Instance.State.ERROR
