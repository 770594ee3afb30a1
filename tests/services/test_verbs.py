"""What the verbs tell of a service: when it has arrived, how it is, and what can't be changed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from django.db.models.functions import Now

from agents.runtime.process import own_identity
from services import control
from services.catalogue import registry
from services.errors import Conflict, ServiceError, UnknownService
from services.models import Instance, Service
from services.supervision import health
from services.supervision.health import Finding
from services.supervision.launching import launch_spec
from tests.services import rows
from tests.services.measured import add_server

Status = Service.Status


@pytest.mark.django_db
def test_it_has_not_arrived_before_everybody_is_told_that_it_runs() -> None:
    service = rows.service("weather", Status.STARTING)
    rows.instance(service)
    assert not control.has_arrived(service)
    service.status = Status.RUNNING
    assert control.has_arrived(service)


@pytest.mark.django_db
def test_one_that_is_being_unregistered_is_not_changed_any_more() -> None:
    service = rows.service("weather")
    registry.unregister(service)
    with pytest.raises(Conflict) as refusal:
        registry.change(service, description="New")
    assert refusal.value.code == "unregistered"
    generation = service.generation
    with pytest.raises(Conflict):
        control.restart(service)
    service.refresh_from_db()
    assert (service.description, service.generation) == ("", generation)


@pytest.mark.parametrize(
    ("status", "details", "verdict"),
    [
        (Status.RUNNING, ["", ""], "healthy"),
        (Status.RUNNING, ["", "", ""], "healthy"),
        (Status.RUNNING, [""], "degraded"),
        (Status.RUNNING, ["", "It did not answer in time."], "degraded"),
        (Status.RUNNING, ["", "", "It did not answer in time."], "degraded"),
        (Status.RUNNING, ["It did not answer in time."], "unhealthy"),
        (Status.ERROR, [], "unhealthy"),
        (Status.UNHEALTHY, [], "unhealthy"),
        (Status.STARTING, [], "unknown"),
        (Status.STOPPED, [], "unknown"),
    ],
)
def test_a_service_of_two_is_as_its_processes_are(
    status: str, details: list[str], verdict: str
) -> None:
    service = Service(replicas=2, status=status)
    findings = [Finding(Instance(), detail) for detail in details]
    assert health.verdict(service, findings) == verdict


def test_a_service_elsewhere_is_one_however_many_are_wanted() -> None:
    service = Service(url="ws://somewhere.example/", replicas=3, status=Status.STARTING)
    assert health.verdict(service, [Finding(service, "")]) == "healthy"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("host", "other"),
    [
        ("localhost", "localhost"),
        ("localhost", "127.0.0.1"),
        ("::1", "LOCALHOST"),
        ("0.0.0.0", "10.0.0.5"),
        ("agents.example", "::"),
        ("::1", "0:0:0:0:0:0:0:1"),
    ],
)
def test_one_port_is_pinned_by_one_service(host: str, other: str, tmp_path: Path) -> None:
    agent = tmp_path / "agent.py"
    agent.touch()
    registry.register(name="first", agent_factory_path=str(agent), host=host, port=8081)
    fields = {"agent_factory_path": str(agent), "host": other}
    with pytest.raises(Conflict, match="'first' has port 8081"):
        registry.register(name="second", port=8081, **fields)
    second = registry.register(name="second", port=8082, **fields)
    with pytest.raises(Conflict, match="'first' has port 8081") as refusal:
        registry.change(second, port=8081)
    assert (refusal.value.code, refusal.value.field) == ("port_taken", "port")
    assert registry.change(second, port=8082, weight=2).weight == 2


@pytest.mark.django_db
def test_what_was_asked_for_is_stored_whatever_others_changed_meanwhile() -> None:
    service = rows.service("weather", weight=2, description="Old", port=8081)
    Service.objects.update(weight=5, description="New", port=8082)
    changed = registry.change(service, weight=2, port=8081)
    assert (changed.weight, changed.port, changed.description) == (2, 8081, "New")


@pytest.mark.django_db
def test_one_port_of_two_addresses_is_two(tmp_path: Path) -> None:
    agent = tmp_path / "agent.py"
    agent.touch()
    for name, host in (("a", "10.0.0.5"), ("b", "10.0.0.6"), ("c", "localhost")):
        registry.register(name=name, agent_factory_path=str(agent), host=host, port=8081)
    assert Service.objects.count() == 3


@pytest.mark.django_db
@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("ws://localhost:8000/", "10.0.0.5"),
        ("ws://10.0.0.5:8000/", "0.0.0.0"),
        ("ws://10.0.0.5:8000/", "10.0.0.5"),
    ],
)
def test_the_port_of_a_server_of_the_site_is_no_services(
    address: str, host: str, tmp_path: Path
) -> None:
    agent = tmp_path / "agent.py"
    agent.touch()
    add_server(address=address, port=8000, process=own_identity())
    fields = {"agent_factory_path": str(agent), "host": host}
    with pytest.raises(Conflict, match="A server of the site has port 8000") as refusal:
        registry.register(name="shop", port=8000, **fields)
    assert (refusal.value.code, refusal.value.field) == ("port_taken", "port")
    shop = registry.register(name="shop", port=8001, **fields)
    with pytest.raises(Conflict, match="has port 8000"):
        registry.change(shop, port=8000)


@pytest.mark.django_db
def test_the_port_of_a_server_that_is_gone_or_listens_elsewhere_is_free(tmp_path: Path) -> None:
    agent = tmp_path / "agent.py"
    agent.touch()
    add_server(port=8000, process=f"{own_identity()}9")
    add_server(port=8000, process=own_identity(), ended_at=Now())
    add_server(port=8000, process=own_identity(), address="ws://10.0.0.5:8000/")
    registry.register(name="shop", agent_factory_path=str(agent), host="10.0.0.6", port=8000)


@pytest.mark.django_db
def test_those_that_share_a_port_already_can_be_changed_otherwise() -> None:
    rows.service("first", port=8081)
    second = rows.service("second", port=8081)
    assert registry.change(second, port=8081, weight=3).weight == 3


@pytest.mark.django_db
def test_one_that_is_gone_is_unknown_to_whoever_changes_it() -> None:
    service = rows.service("weather")
    Service.objects.all().delete()
    with pytest.raises(UnknownService, match="'weather'"):
        registry.change(service, weight=3)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address",
    [
        "ws://ada:hush@far.example/",
        "wss://ada@far.example/",
        "ws://@far.example/",
        "ws://far.example/a b",
        "ws://far.example/\t",
        "ws://far.example/'x",
        'ws://far.example/"x',
        "ws://far.example/<x>",
        "ws://far.example\\@near.example/",
        "ws://far.example/\u202egnp",
        " ws://far.example/",
    ],
)
def test_an_address_that_holds_a_secret_or_a_trap_is_refused(address: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        registry.register(name="far", url=address)
    assert refusal.value.field == "url"
    assert "hush" not in str(refusal.value)


@pytest.mark.django_db
def test_an_interpreter_is_kept_by_the_name_that_it_was_given(tmp_path: Path) -> None:
    """A virtual environment's is a link: behind it lies one that does not know its packages."""
    agent = tmp_path / "agent.py"
    agent.touch()
    python = tmp_path / "venv" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    service = registry.register(name="own", agent_factory_path=str(agent), python=str(python))
    assert service.python == str(python)
    assert launch_spec(rows.instance(service)).command[0] == str(python)
    for wrong, why in (
        (agent, "The interpreter .* is not executable"),
        (tmp_path, "There is no interpreter"),
        (tmp_path / "none", "There is no interpreter"),
    ):
        with pytest.raises(ServiceError, match=why) as refused:
            registry.change(service, python=str(wrong))
        assert refused.value.field == "python"
