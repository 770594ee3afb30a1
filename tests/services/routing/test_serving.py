"""The server of a site: what it says of itself, and whose runs it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from agents.runs.worker_process import Paths
from agents.runtime.database import DatabaseThreads
from myagent import create_react_agent, tool
from myagent.testing import ScriptedModel, call
from services.routing.embedded import EmbeddedServer
from services.routing.endpoints import path_of, site_address
from services.routing.serving import own_ports, site_server
from services.supervision.figures import OWN_PORTS
from tests.inline_worker import InlineWorker, inline_worker
from tests.ports import free_port
from tests.recording import TERMINAL, Recorder, assert_one_end_each
from tests.services import rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@tool(requires_confirmation=True)
def order() -> str:
    "Orders something."
    return "ordered"


async def careful() -> Any:
    return create_react_agent(tools=[order], model=ScriptedModel([call("order"), "done"]))


@pytest.fixture
def worker(transactional_db: None) -> Iterator[InlineWorker]:
    """That of the service `shop`, which runs."""
    instance = rows.instance(rows.service("shop"))
    with inline_worker(careful, instance_id=instance.pk) as worker:
        place = Paths.of(instance.pk).socket
        place.symlink_to(worker.path)
        yield worker
        place.unlink()


@pytest.fixture
async def address(worker: InlineWorker) -> AsyncIterator[str]:
    """Where a server of the site talks for the service."""
    database, server = DatabaseThreads(), EmbeddedServer()
    try:
        await server.start(database)
        yield (await sync_to_async(site_address)()).rstrip("/") + path_of("shop")
    finally:
        await server.stop()
        await database.stop()


async def test_what_waits_for_a_person_ends_when_the_services_row_is_gone_at_once(
    address: str,
) -> None:
    async with await Recorder.open(address) as client:
        await client.say(await client.create_session(), "order it")
        await client.until("agent.user_confirm")
        await delete("shop")
        assert (await client.until(*TERMINAL))["event"] == "agent.interrupted"
        assert_one_end_each(client.frames)


@sync_to_async
def delete(name: str) -> None:
    rows.Service.objects.filter(name=name).delete()


async def test_a_server_says_of_own_ports_only_if_it_opens_them() -> None:
    server, directory = site_server()
    assert OWN_PORTS not in server.conversations.report()

    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("nobody comes")

    ports = own_ports(server, directory, nothing)
    ports.follow({"shop": ("127.0.0.1", free_port())})
    assert server.conversations.report()[OWN_PORTS] == {"shop": ""}
    await ports.close()
    await server.leave(0)


async def test_health_says_whether_a_supervisor_runs_as_the_directory_knows_it() -> None:
    server, directory = site_server()
    assert server.health()["supervised"] is None
    await directory.start()
    try:
        async with asyncio.timeout(20):
            while server.health()["supervised"] is None:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        assert server.health()["supervised"] is False
    finally:
        await directory.stop()
