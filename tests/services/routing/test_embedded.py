"""The server inside a program: it serves whenever nobody else does, and leaves in order."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db.models.functions import Now

from agents.models import Server
from agents.runtime.database import DatabaseThreads
from agents.runtime.process import own_identity
from services import doorbell
from services.models import Service
from services.routing import embedded
from services.routing.embedded import EmbeddedServer
from services.routing.endpoints import path_of, site_address
from services.routing.own_ports import Door
from services.views.describing import service_json
from tests.ports import free_port
from tests.recording import Recorder
from tests.services import rows
from tests.services.measured import add_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

PATIENCE_S = 30.0

add = sync_to_async(rows.service)
address = sync_to_async(site_address)


@sync_to_async
def other_server(process: str) -> Server:
    lease_until = Now() + timedelta(seconds=600)
    return add_server(address="ws://localhost:1/", process=process, lease_until=lease_until)


@pytest.fixture
async def database() -> AsyncIterator[DatabaseThreads]:
    database = DatabaseThreads()
    yield database
    await database.stop()


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmbeddedServer]:
    monkeypatch.setattr(embedded, "LOOK_S", 0.05)
    server = EmbeddedServer()
    yield server
    await server.stop()


async def until_served(*, not_at: str = "") -> str:
    """The address of the site, once it has one."""
    async with asyncio.timeout(PATIENCE_S):
        while (found := await address()) in ("", not_at):  # noqa: ASYNC110 - a database tells nobody
            await asyncio.sleep(0.02)
    return found


async def greeted(url: str) -> None:
    async with await Recorder.open(url):
        pass


async def test_a_lease_that_a_dead_server_left_does_not_count(
    server: EmbeddedServer, database: DatabaseThreads
) -> None:
    await other_server(process=f"{own_identity()}9")
    await server.start(database)
    await greeted(await address())


async def test_it_serves_when_the_other_server_is_gone(
    server: EmbeddedServer, database: DatabaseThreads
) -> None:
    other = await other_server(process=own_identity())
    await server.start(database)
    assert await address() == other.address
    await Server.objects.filter(pk=other.pk).aupdate(ended_at=Now())
    await greeted(await until_served(not_at=other.address))


async def test_it_serves_again_when_its_door_has_failed(
    server: EmbeddedServer, database: DatabaseThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.start(database)
    former, tick = await address(), Door.on_tick
    failures = iter([RuntimeError("nobody expects it")])

    async def fail_once(door: Door, counter: int) -> bool:
        for failure in failures:
            raise failure
        return await tick(door, counter)

    monkeypatch.setattr(Door, "on_tick", fail_once)
    await greeted(await until_served(not_at=former))


async def test_who_is_there_is_sent_away_with_a_reason(
    server: EmbeddedServer, database: DatabaseThreads
) -> None:
    port = free_port()
    await add("shop", host="127.0.0.1", port=port)
    await server.start(database)
    by_path = await Recorder.open((await address()).rstrip("/") + path_of("shop"))
    by_port = await opened(f"ws://127.0.0.1:{port}/")
    await server.stop()
    for client in (by_path, by_port):
        assert await client.read_to_close() == 4012
        assert client.frames[-1]["event"] == "system.error"


async def opened(url: str) -> Recorder:
    """A client at a port, as soon as that is open."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await Recorder.open(url)
            except OSError:
                await asyncio.sleep(0.02)


async def test_a_port_that_moves_sends_its_clients_after_it_and_no_others(
    server: EmbeddedServer, database: DatabaseThreads
) -> None:
    former, port = free_port(), free_port()
    shop = await add("shop", host="127.0.0.1", port=former)
    await server.start(database)
    client = await opened(f"ws://127.0.0.1:{former}/")
    stays = await Recorder.open((await address()).rstrip("/") + path_of("shop"))
    await move(shop, port=port)
    assert await client.read_to_close() == 4012
    async with await opened(f"ws://127.0.0.1:{port}/"):
        await stays.send("user.nonsense")
        await stays.error("unknown_event")
    await stays.socket.close()


async def test_why_an_own_port_is_not_open_is_said_wherever_the_service_is_shown(
    server: EmbeddedServer, database: DatabaseThreads, settings: Any
) -> None:
    settings.MYAGENT_RENEW_S = 0.05
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        shop = await add("shop", host="127.0.0.1", port=port)
        await server.start(database)
        said = await port_error(shop, is_there=True)
        assert f"Port {port} on 127.0.0.1 is in use" in said
        assert said in await sync_to_async(status)("shop")
    assert await port_error(shop, is_there=False) == ""
    async with await opened(f"ws://127.0.0.1:{port}/"):
        pass


async def port_error(service: Service, *, is_there: bool) -> str:
    """What the service's JSON says, once it says something, or nothing any more."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found: str = (await sync_to_async(service_json)(service, ""))["own_port_error"]
            if bool(found) == is_there:
                return found
            await asyncio.sleep(0.02)


def status(name: str) -> str:
    output = io.StringIO()
    call_command("services", "status", name, stdout=output)
    return output.getvalue()


@sync_to_async
def move(service: Service, **fields: Any) -> None:
    Service.objects.filter(pk=service.pk).update(**fields)
    doorbell.ring(service.pk)
