"""A port belongs to one service, however many request it concurrently."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from agents.runtime.process import own_identity
from services import control
from services.catalogue import registry
from services.errors import Conflict
from services.models import Service
from services.views.describing import service_json
from tests.ports import free_port
from tests.runners import ROOT
from tests.services import rows
from tests.services.measured import add_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

AT_ONCE = 8
FILE = str(ROOT / "examples" / "echo_agent.py")


def winners(work: Callable[[int], Any]) -> list[int]:
    """The concurrent requests that were not refused."""
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
    """A port on which this process listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]


def test_a_port_that_a_stranger_has_is_told_before_anybody_tries_in_vain(taken_port: int) -> None:
    # A server of the site that has not reported the state of its ports yet.
    add_server(process="another process", report={})
    echo = registry.register(name="echo", agent_factory_path=FILE, port=taken_port)
    said = f"Port {taken_port} on localhost is in use"
    assert service_json(echo, "")["own_port_error"].startswith(said)
    control.start(echo)
    assert service_json(echo, "")["own_port_error"].startswith(said)
    assert service_json(registry.change(echo, port=free_port()), "")["own_port_error"] == ""


def test_one_that_a_server_of_the_site_listens_at_for_the_service_is_its_own(
    taken_port: int,
) -> None:
    add_server(process=own_identity(), report={})
    echo = registry.register(name="echo", agent_factory_path=FILE, port=taken_port)
    assert service_json(echo, "")["own_port_error"] == ""


def test_on_another_machine_than_its_servers_nothing_is_known_of_the_port(taken_port: int) -> None:
    add_server(host="elsewhere", report={})
    echo = registry.register(name="echo", agent_factory_path=FILE, port=taken_port)
    assert service_json(echo, "")["own_port_error"] == ""
