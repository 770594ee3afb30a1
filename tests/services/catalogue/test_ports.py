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


def test_changes_of_host_and_port_that_were_read_before_both_do_not_add_up_to_a_clash() -> None:
    port = free_port()
    rows.service("first", agent_factory_path=FILE, host="127.0.0.1", port=port)
    second = rows.service("second", agent_factory_path=FILE, host="192.0.2.7", port=free_port())
    read_before = registry.find("second")
    registry.change(second, host="0.0.0.0")
    with pytest.raises(Conflict, match=f"'first' has port {port}"):
        registry.change(read_before, port=port)
    second.refresh_from_db()
    assert (second.host, second.port) != ("0.0.0.0", port)


def test_of_changes_of_its_host_and_of_its_port_at_once_one_is_refused() -> None:
    port = free_port()
    rows.service("first", agent_factory_path=FILE, host="127.0.0.1", port=port)
    second = rows.service("second", agent_factory_path=FILE, host="192.0.2.7", port=free_port())
    changes = [{"host": "0.0.0.0"}, {"port": port}] * (AT_ONCE // 2)
    read_before = [registry.find("second") for _ in changes]
    won = winners(lambda number: registry.change(read_before[number], **changes[number]))
    assert len({number % 2 for number in won}) == 1
    second.refresh_from_db()
    assert (second.host, second.port) != ("0.0.0.0", port)


@pytest.mark.parametrize("verb", [control.start, control.restart])
def test_whoever_was_stopped_since_it_was_read_claims_its_port_anew(
    verb: Callable[[Service], None],
) -> None:
    port = free_port()
    read_before = rows.service("first", port=port)
    control.stop(registry.find("first"))
    rows.service("second", port=port)
    with pytest.raises(Conflict, match=f"'second' has port {port}"):
        verb(read_before)
    assert registry.find("first").desired == Service.Desired.STOPPED


def test_a_restart_of_what_is_to_run_asks_nobody_for_its_port() -> None:
    port = free_port()
    first = rows.service("first", port=port)
    rows.service("second", port=port)
    control.restart(first)
    assert first.generation == 2


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Somebody of this process listens there."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]


def test_a_port_that_a_stranger_has_is_told_before_anybody_tries_in_vain(taken_port: int) -> None:
    # A server of the site that has not said yet how its ports are.
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
