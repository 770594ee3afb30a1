"""What the supervisor's process does beside its passes, each in its own time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from websockets.asyncio.server import ServerConnection, serve

from services.launchers import LaunchSpec, Polled
from services.models import HealthCheck, Service
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
