"""Places of a service: what servers write of them, when, and how long that may take."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db.models.functions import Now
from django.utils import timezone

from agents.limits import places as module
from agents.limits.places import Places
from agents.models import Occupancy, Run, Server, Session
from agents.ownership import servers
from agents.runtime.database import DatabaseThreads
from tests.agents.queued import queued_run

PATIENCE_S = 30.0
LONG_S = 3600.0
SERVICE = "x"


class Held:
    """What a server holds of the service."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, service: str) -> int:
        return self.count


@pytest.fixture
async def database() -> AsyncIterator[DatabaseThreads]:
    found = DatabaseThreads()
    yield found
    await found.stop()


class Hanging:
    """Work in the database that starts, and ends when it is let go."""

    def __init__(self, result: Any) -> None:
        self.has_begun = threading.Event()
        self.let_go = threading.Event()
        self._result = result

    def __call__(self, *args: Any) -> Any:
        self.has_begun.set()
        assert self.let_go.wait(PATIENCE_S)
        return self._result

    async def begun(self) -> None:
        assert await asyncio.to_thread(self.has_begun.wait, PATIENCE_S)


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Any], Hanging]]:
    made = []

    def hang(work: str, result: Any) -> Hanging:
        made.append(Hanging(result))
        monkeypatch.setattr(module, work, made[-1])
        return made[-1]

    yield hang
    for each in made:
        each.let_go.set()


async def test_a_claim_does_not_wait_for_one_that_the_database_keeps(
    database: DatabaseThreads,
    hanging: Callable[[str, Any], Hanging],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places, claiming = Places(database, lambda: "here", Held()), hanging("_claim", 0)
    monkeypatch.setattr(module, "CLAIM_S", LONG_S)
    first = asyncio.create_task(places.claim(SERVICE, 2))
    await claiming.begun()
    monkeypatch.setattr(module, "CLAIM_S", 0.01)
    async with asyncio.timeout(PATIENCE_S):
        assert await places.claim(SERVICE, 2)
    assert not first.done()
    claiming.let_go.set()
    assert await first


async def test_what_is_published_gives_up_on_a_database_that_hangs(
    database: DatabaseThreads,
    hanging: Callable[[str, Any], Hanging],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = Places(database, lambda: "here", Held())
    hanging("_publish", {})
    monkeypatch.setattr(module, "CLAIM_S", 0.01)
    async with asyncio.timeout(PATIENCE_S):
        await places.publish([SERVICE])


async def test_a_service_that_is_limited_again_is_written_again(
    database: DatabaseThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[dict[str, int]] = []

    def publish(server_id: str, changed: dict[str, int], services: list[str]) -> dict[str, int]:
        written.append(changed)
        return {}

    monkeypatch.setattr(module, "_publish", publish)
    held = Held()
    places = Places(database, lambda: "here", held)
    held.count = 5
    await places.publish([SERVICE])
    held.count = 0
    await places.publish(["y"])
    await places.publish([SERVICE])
    assert written[-1] == {SERVICE: 0}
    await places.publish([SERVICE])
    assert written[-1] == {}


async def test_what_a_late_write_may_have_overwritten_is_written_again(
    database: DatabaseThreads,
    hanging: Callable[[str, Any], Hanging],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[dict[str, int]] = []

    def publish(server_id: str, changed: dict[str, int], services: list[str]) -> dict[str, int]:
        written.append(changed)
        return {}

    monkeypatch.setattr(module, "_publish", publish)
    places, claiming = Places(database, lambda: "here", Held()), hanging("_claim", 0)
    late = asyncio.create_task(places.claim(SERVICE, 2))
    await claiming.begun()
    late.cancel()
    await asyncio.wait([late])
    for _ in range(2):
        await places.publish([SERVICE])
    claiming.let_go.set()
    async with asyncio.timeout(PATIENCE_S):
        # Nobody is told when a thread has ended.
        while written[-1]:
            await places.publish([SERVICE])
    assert written[:3] == [{SERVICE: 0}] * 3


@pytest.mark.django_db(transaction=True)
async def test_who_is_refused_writes_nothing(
    database: DatabaseThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there"):
        server = Server(pk=name, host="a", process="a")
        await sync_to_async(servers.register)(server, LONG_S)
    await Occupancy.objects.acreate(server_id="there", service=SERVICE, sessions=2)
    written: list[int] = []
    write = module._write

    def note(server_id: str, service: str, count: int) -> None:
        written.append(count)
        write(server_id, service, count)

    monkeypatch.setattr(module, "_write", note)
    places = Places(database, lambda: "here", Held())
    await places.publish([SERVICE])
    written.clear()
    assert not await places.claim(SERVICE, 2)
    monkeypatch.setattr(module, "PUBLISH_S", 0.0)
    assert not await places.claim(SERVICE, 2)
    assert written == []
    # What is not fresh is looked at again.
    await Occupancy.objects.filter(server_id="there").aupdate(sessions=1)
    assert await places.claim(SERVICE, 2)
    assert written == [1]


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fate", ["lapsed", "given up", "let go"])
async def test_a_run_that_nobody_has_at_the_moment_keeps_its_place(
    database: DatabaseThreads, fate: str
) -> None:
    for name in ("here", "there"):
        server = Server(pk=name, host="a", process="elsewhere")
        await sync_to_async(servers.register)(server, LONG_S)
    run = await sync_to_async(run_of)("there")
    await Occupancy.objects.acreate(server_id="there", service=SERVICE, sessions=1)
    places = Places(database, lambda: "here", Held())
    assert not await places.claim(SERVICE, 1)
    match fate:
        case "lapsed":
            await Server.objects.filter(pk="there").aupdate(lease_until=Now())
        case "given up":
            await sync_to_async(servers.end)("there")
        case _:
            await sync_to_async(servers.retire)("there")
    assert not await places.claim(SERVICE, 1)
    assert await places.claim(SERVICE, 2)
    await places.publish([SERVICE])
    assert places.is_full(SERVICE, 1)
    await Run.objects.filter(pk=run.pk).aupdate(status=Run.Status.ANSWERED)
    await places.publish([SERVICE])
    assert await places.claim(SERVICE, 1)


def run_of(server_id: str) -> Run:
    now = timezone.now()
    session = Session.objects.create(
        pk="s", service=SERVICE, owner_id=server_id, created_at=now, updated_at=now
    )
    return queued_run(session)
