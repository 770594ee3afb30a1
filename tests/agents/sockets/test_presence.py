"""The register of connections: written in batches, and true after the next round."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.db import connection as database_connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from agents.models import Connection, Server
from agents.ownership import servers
from agents.runtime.database import DatabaseThreads
from agents.sockets import register
from agents.sockets.base import SocketConsumer
from agents.sockets.connections import Connections
from agents.sockets.presence import Presence
from tests.agents.hosting import scope_at

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


class Peer:
    """An open socket; `closed` is how it was closed."""

    def __init__(self, name: str, service: str | None = None, user_agent: bytes = b"x") -> None:
        self.connection_id = name
        self.lang = "en"
        self.service = service
        self.principal = None
        self.attached: dict[str, Any] = {}
        self.scope = scope_at() | {
            "client": ("192.0.2.5", 1),
            "headers": [(b"user-agent", user_agent)],
        }
        self.closed: tuple[int, str] | None = None

    def beat(self, now: float) -> None:
        pass

    def close(self, code: int, problem: Any) -> None:
        self.closed = (code, problem.text)


NOW = datetime(2026, 11, 28, 23, 1, 2, 345678, tzinfo=UTC)


class Here:
    """A server with its sockets and its part of the register."""

    def __init__(self) -> None:
        self.server_id = ""
        self.connections = Connections("test")
        self.database = DatabaseThreads()
        self.presence = Presence(self.connections, self.database, lambda: self.server_id)

    async def live(self, server_id: str) -> None:
        row = Server(id=server_id, host="here", process="1", started_at=Now())
        await self.database.run(servers.register, row, 60.0)
        self.server_id = server_id

    def add(self, peer: Peer) -> Peer:
        self.connections.add(cast(SocketConsumer, peer))
        return peer

    def remove(self, peer: Peer) -> None:
        self.connections.remove(cast(SocketConsumer, peer))

    async def look(self) -> dict[str, str]:
        """One round; then the service of each listed connection."""
        await self.presence.look()
        rows = register.alive().values_list("pk", "service")
        return dict(await self.database.run(lambda: list(rows)))


@pytest.fixture
async def here(transactional_db: None) -> AsyncIterator[Here]:
    here = Here()
    await here.live("one")
    yield here
    await here.connections.close(0)
    await here.database.stop()


async def test_who_comes_is_listed_and_who_goes_is_not(here: Here) -> None:
    one, _ = here.add(Peer("a", "weather")), here.add(Peer("b"))
    assert await here.look() == {"a": "weather", "b": ""}
    here.remove(one)
    here.add(Peer("c"))
    assert await here.look() == {"b": "", "c": ""}


async def test_a_client_gets_the_service_of_its_first_session(here: Here) -> None:
    peer = here.add(Peer("a"))
    await here.look()
    peer.attached["s"] = SimpleNamespace(service="weather")
    assert await here.look() == {"a": "weather"}


async def test_a_round_without_changes_writes_nothing(here: Here) -> None:
    here.add(Peer("a", "weather"))
    await here.look()

    def queries_of_round() -> list[str]:
        with CaptureQueriesContext(database_connection) as queries:
            found = register.to_close("one")
        assert found == []
        return [query["sql"] for query in queries.captured_queries]

    ran: list[Any] = []
    run = here.database.run

    async def note(work: Any, *arguments: Any) -> Any:
        ran.append(work)
        return await run(work, *arguments)

    here.database.run = note  # type: ignore[method-assign, assignment]
    await here.presence.look()
    assert ran == [register.to_close]
    assert len(await run(queries_of_round)) == 1


async def test_many_are_written_in_few_statements(here: Here) -> None:
    for number in range(1200):
        here.add(Peer(f"{number}"))
    assert len(await here.look()) == 1200
    for each in list(here.connections.present.values()):
        here.remove(each)
    assert await here.look() == {}


async def test_a_connection_is_listed_with_all_that_is_known_of_it(here: Here) -> None:
    row = register.Fresh("a", "one", "weather", "/ws/", "127.0.0.1", "browser", "user:1", NOW)
    await here.database.run(register.write, [row], {}, ())
    found = await here.database.run(Connection.objects.values().get)
    assert found == {**row._asdict(), "is_to_close": False}


async def test_what_is_to_be_closed_is_closed_with_a_sentence(here: Here) -> None:
    one, other = here.add(Peer("a")), here.add(Peer("b"))
    await here.look()
    assert await here.database.run(register.ask_to_close, "a")
    assert not await here.database.run(register.ask_to_close, "nobody")
    await here.look()
    assert one.closed == (4003, "An administrator closed this connection.")
    assert other.closed is None


async def test_a_server_that_registers_anew_takes_its_connections_along(here: Here) -> None:
    here.add(Peer("a"))
    await here.look()
    await here.database.run(servers.end, "one")
    assert await here.database.run(Connection.objects.count) == 0
    await here.live("two")
    assert await here.look() == {"a": ""}
    assert await here.database.run(register.count_by_service) == {("", "two"): 1}


async def test_what_a_client_says_of_itself_is_made_fit_for_the_database(here: Here) -> None:
    here.add(Peer("a", user_agent=b"\0\xff\n" + b"x" * 1000))
    await here.look()
    row = await here.database.run(Connection.objects.get)
    assert row.user_agent == "?\xff?" + "x" * 188


async def test_a_batch_that_was_committed_without_anybody_knowing_is_written_again(
    here: Here,
) -> None:
    here.add(Peer("a"))
    row = Connection(id="a", server_id="one", path="/", address="", opened_at=Now())
    await here.database.run(row.save)
    assert await here.look() == {"a": ""}
