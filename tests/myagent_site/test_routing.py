"""Which door leads where: by path, by query, by a port of the service's own; and which is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from asgiref.sync import sync_to_async

from agents.runtime.database import DatabaseThreads
from services import doorbell
from services.models import Service
from services.routing.embedded import EmbeddedServer
from services.routing.endpoints import site_address
from tests.ports import free_port
from tests.recording import Recorder
from tests.services import rows

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_S = 30.0

add = sync_to_async(rows.service)


@dataclass
class Doors:
    site: str
    own: str
    """The port of the service `shop`."""


@pytest.fixture
async def doors() -> AsyncIterator[Doors]:
    """A site with `shop` and `天气`, neither of which has a worker yet."""
    port, database, server = free_port(), DatabaseThreads(), EmbeddedServer()
    await add("shop", host="127.0.0.1", port=port)
    await add("天气")
    try:
        await server.start(database)
        await until_open(port)
        site = await sync_to_async(site_address)()
        yield Doors(site.rstrip("/"), f"ws://127.0.0.1:{port}")
    finally:
        await server.stop()
        await database.stop()


async def until_open(port: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/", "/services/shop/", "/?service=shop"])
async def test_a_port_of_its_own_has_the_paths_of_a_single_agents_server(
    doors: Doors, path: str
) -> None:
    async with await Recorder.open(f"{doors.own}{path}") as client:
        await client.create_session()
        created = next(f for f in client.frames if f["event"] == "agent.session_created")
        assert created["metadata"]["service"] == "shop"


@pytest.mark.parametrize(
    "path",
    [
        "/nonsense",
        "/services/%E5%A4%A9%E6%B0%94/",
        "/services/nobody/",
        "/?service=%E5%A4%A9%E6%B0%94",
    ],
)
async def test_a_port_of_its_own_leads_to_nothing_else(doors: Doors, path: str) -> None:
    client = await Recorder.dial(f"{doors.own}{path}")
    assert await client.read_to_close() == 4004
    assert client.frames[-1]["metadata"]["code"] == "no_service"


@pytest.mark.parametrize("path", ["/ws/chat/ann?service=%E5%A4%A9%E6%B0%94", "/x/ws/chat/ann"])
async def test_nor_does_it_in_the_chat_dialect(doors: Doors, path: str) -> None:
    client = await Recorder.dial(f"{doors.own}{path}")
    assert await refused_in_chat(client) == 4004


async def refused_in_chat(client: Recorder) -> int:
    await client.socket.wait_closed()
    assert client.socket.close_code is not None
    return client.socket.close_code


async def test_a_query_names_the_service_in_the_events_dialect(doors: Doors) -> None:
    async with await Recorder.open(f"{doors.site}/ws/?service=%E5%A4%A9%E6%B0%94") as client:
        await client.create_session()
        created = next(f for f in client.frames if f["event"] == "agent.session_created")
        assert created["metadata"]["service"] == "天气"
        await client.send("user.create_session", metadata={"service": "shop"})
        await client.error("no_service")


@pytest.mark.parametrize("path", ["/?service=nobody", "/services/shop/?service=%E5%A4%A9%E6%B0%94"])
async def test_a_query_that_names_nobody_or_another_is_no_door(doors: Doors, path: str) -> None:
    client = await Recorder.dial(f"{doors.site}{path}")
    assert await client.read_to_close() == 4004


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("en", "Say which service you mean. There are: shop, 天气."),
        ("zh-CN", "请指明要使用哪个服务。现有：shop, 天气。"),
    ],
)
async def test_who_names_no_service_is_told_which_there_are(
    doors: Doors, lang: str, said: str
) -> None:
    async with await Recorder.open(f"{doors.site}/?lang={lang}") as client:
        await client.send("user.create_session")
        assert (await client.error("no_service"))["content"] == said
    async with await Recorder.dial(f"{doors.site}/ws/chat/ann?lang={lang}") as client:
        await client.send_raw('{"query": "hello"}')
        assert await client.socket.recv() == f'{{"type":"error","content":"{said}"}}'


async def test_who_names_one_that_is_not_there_is_not(doors: Doors) -> None:
    async with await Recorder.open(f"{doors.site}/") as client:
        await client.send("user.create_session", metadata={"service": "nobody"})
        assert (await client.error("no_service"))["content"] == "There is no such service here."


async def test_who_comes_by_the_door_of_a_service_is_told_whether_it_runs(doors: Doors) -> None:
    idle = await add("idle", Service.Status.STOPPED)
    async with await Recorder.dial(f"{doors.site}/services/idle/") as client:
        assert (await client.receive())["event"] == "system.connected"
        assert (await client.receive())["metadata"] == {"code": "service_stopped"}
        await desire(idle, Service.Desired.RUNNING)
        assert (await client.receive())["metadata"] == {"code": "service_started"}
        await client.create_session()
        await desire(idle, Service.Desired.STOPPED)
        stopped = await client.until("system.notice")
        assert stopped["metadata"] == {"code": "service_stopped"}
        assert "does not run" in stopped["content"]


@sync_to_async
def desire(service: Service, desired: str) -> None:
    Service.objects.filter(pk=service.pk).update(desired=desired)
    doorbell.ring(service.pk)
