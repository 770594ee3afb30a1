"""A port belongs to one service, however many request it concurrently."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import Any
from unittest.mock import Mock

import psutil
import pytest
from django.db import connection

from agents.runtime.process import own_identity
from myagent.manager import verbs
from services import control
from services.catalogue import ports, registry
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


@pytest.fixture(autouse=True)
def _no_look_is_kept_from_another_test() -> None:
    ports._is_a_strangers.cache_clear()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Counts the lists of all processes' sockets."""
    listing = Mock(wraps=psutil.net_connections)
    monkeypatch.setattr(psutil, "net_connections", listing)
    return listing


def told_alone(service: Service) -> str:
    found: str = service_json(service, "", looks_at_port=True)["own_port_error"]
    return found


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
    assert told_alone(echo).startswith(said)
    control.start(echo)
    assert told_alone(echo).startswith(said)
    assert told_alone(registry.change(echo, port=free_port())) == ""


def test_one_that_a_server_of_the_site_listens_at_for_the_service_is_its_own(
    taken_port: int,
) -> None:
    add_server(process=own_identity(), report={})
    echo = registry.register(name="echo", agent_factory_path=FILE, port=taken_port)
    assert told_alone(echo) == ""


def test_on_another_machine_than_its_servers_nothing_is_known_of_the_port(taken_port: int) -> None:
    add_server(host="elsewhere", report={})
    echo = registry.register(name="echo", agent_factory_path=FILE, port=taken_port)
    assert told_alone(echo) == ""


@pytest.mark.parametrize("process", [own_identity(), "another"], ids=["seen", "other"])
def test_a_socket_whose_owner_is_not_visible_may_be_the_servers(
    process: str, taken_port: int, looks: Mock
) -> None:
    """So it is for a server that another user of the operating system runs."""
    looks.side_effect = lambda kind: [each._replace(pid=None) for each in looks._mock_wraps(kind)]
    add_server(process=process, report={})
    echo = registry.register(name="echo", agent_factory_path=FILE, port=taken_port)
    assert told_alone(echo) == ""
    looks.side_effect = psutil.AccessDenied()
    ports._is_a_strangers.cache_clear()
    assert told_alone(echo) == ""


def test_without_a_server_whoever_listens_is_a_stranger(taken_port: int, looks: Mock) -> None:
    echo = registry.register(name="echo", agent_factory_path=FILE, port=taken_port)
    assert "is in use" in ports.trouble(echo)
    assert not looks.called


def test_nobody_looks_at_a_port_that_a_server_has_reported_open(
    taken_port: int, looks: Mock
) -> None:
    add_server(process="another process", report={"own_ports": {"echo": ""}})
    echo = registry.register(name="echo", agent_factory_path=FILE, port=taken_port)
    assert told_alone(echo) == ""
    assert not looks.called


def test_who_asks_again_and_again_has_the_port_looked_at_once(
    taken_port: int, looks: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 3600.0
    monkeypatch.setattr(ports, "time", Mock(monotonic=lambda: now_s))
    add_server(process="another process", report={"own_ports": {}})
    echo = registry.register(name="echo", agent_factory_path=FILE, port=taken_port)
    assert len({told_alone(echo) for _ in range(10)}) == 1
    assert looks.call_count == 1
    now_s += ports.KEPT_S
    assert "is in use" in told_alone(echo)
    assert looks.call_count == 2


def test_a_look_at_a_free_port_listens_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr(socket.socket, "listen", Mock(side_effect=AssertionError))
    for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0"):
        assert not ports._is_in_use(host, port)


def test_a_list_looks_at_no_port(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "trouble", Mock(side_effect=AssertionError))
    add_server(process="another process", report={})
    registry.register(name="echo", agent_factory_path=FILE, port=taken_port)
    assert [each.own_port_error for each in verbs.select(None, ())] == [""]
    with pytest.raises(AssertionError):
        verbs.get("echo")
