"""A port belongs to one service, however many ask for it at the same moment."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from agents.models import Server
from agents.runtime.process import own_identity
from services import control
from services.catalogue import registry
from services.errors import Conflict
from services.models import Service
from tests.ports import free_port
from tests.runners import ROOT
from tests.services import rows
from tests.services.measured import add_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

AT_ONCE = 8
FILE = str(ROOT / "examples" / "echo_agent.py")


def winners(work: Callable[[int], Any]) -> list[int]:
    """Which of all that begin at the same moment were not refused."""
    start = Barrier(AT_ONCE)

    def attempt(number: int) -> bool:
        try:
            start.wait()
            work(number)
        except Conflict as refused:
            assert refused.code == "port_taken"
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(AT_ONCE) as pool:
        won = list(pool.map(attempt, range(AT_ONCE)))
    return [number for number, has_won in enumerate(won) if has_won]


def test_of_registrations_of_one_port_exactly_one_wins() -> None:
    port = free_port()
    (winner,) = winners(
        lambda number: registry.register(name=f"s{number}", agent_factory_path=FILE, port=port)
    )
    assert [each.name for each in Service.objects.all()] == [f"s{winner}"]


def test_of_changes_to_one_port_exactly_one_wins() -> None:
    port = free_port()
    services = [rows.service(f"s{number}", agent_factory_path=FILE) for number in range(AT_ONCE)]
    (winner,) = winners(lambda number: registry.change(services[number], port=port))
    assert [each.name for each in Service.objects.filter(port=port)] == [f"s{winner}"]


def test_of_starts_of_services_that_have_one_port_from_before_exactly_one_wins() -> None:
    port = free_port()
    services = [
        rows.service(f"s{number}", Service.Status.STOPPED, port=port) for number in range(AT_ONCE)
    ]
    (winner,) = winners(lambda number: control.start(services[number]))
    assert [each.name for each in Service.objects.filter(desired="running")] == [f"s{winner}"]


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Somebody of this process listens there."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]


def test_a_port_that_a_stranger_has_is_told_at_the_first_try(taken_port: int) -> None:
    told = f"Another program has port {taken_port} on localhost"
    with pytest.raises(Conflict, match=told):
        registry.register(name="echo", agent_factory_path=FILE, port=taken_port)
    echo = registry.register(name="echo", agent_factory_path=FILE)
    with pytest.raises(Conflict, match=told):
        registry.change(echo, port=taken_port)
    Service.objects.update(port=taken_port)
    echo.refresh_from_db()
    with pytest.raises(Conflict, match=told):
        control.start(echo)


def test_one_that_a_server_of_the_site_listens_at_for_the_service_is_its_own(
    taken_port: int,
) -> None:
    add_server(process=own_identity(), lease_until=Now() + rows.AN_HOUR)
    assert Server.objects.get().process == own_identity()
    echo = rows.service("echo", Service.Status.STOPPED, port=taken_port)
    control.start(echo)
    assert echo.desired == "running"


def test_on_another_machine_than_its_servers_nothing_is_known_of_the_port(taken_port: int) -> None:
    add_server(host="elsewhere")
    registry.register(name="echo", agent_factory_path=FILE, port=taken_port)
