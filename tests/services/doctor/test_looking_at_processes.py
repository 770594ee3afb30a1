"""A server that is gone or frozen is named, whoever has taken its conversations meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from agents.models import Server
from agents.ownership import servers
from agents.runtime.process import own_identity, pid_of
from services.backups.restoring import leave_processes_behind
from services.doctor.finding import Level
from services.doctor.looking_at_processes import look_at_processes
from services.doctor.looking_at_services import look_at_services
from services.models import Service, Supervisor
from services.telling import tell
from tests.services.measured import add_server, add_service, add_supervisor

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

GONE = own_identity().rpartition("/")[0] + "/1"
"""A process with this one's number that was there before it."""


def server(port: int = 8000, process: str = GONE, **fields: Any) -> Server:
    return add_server(host="here", port=port, process=process, **fields)


def named() -> dict[str, str]:
    """What is wrong, by checks, with what to do."""
    found = [*look_at_processes(), *look_at_services()]
    return {
        each.check: f"{tell(each.fact)} {tell(each.advice)}"
        for each in found
        if each.level != Level.OK and each.advice is not None
    }


def ended(row: Server, **ago: float) -> None:
    """Some time ago and not just now."""
    time = timedelta(**ago)
    row.refresh_from_db()
    row.started_at -= time
    row.lease_until -= time
    assert row.ended_at is not None
    row.ended_at -= time
    row.save()


def test_a_server_that_another_declared_dead_is_named_for_an_hour() -> None:
    gone = server()
    servers.end_gone_servers("another")
    said = named()["servers"]
    assert said.startswith(f"The server here:8000 ({pid_of(GONE)}) is gone without having left.")
    ended(gone, minutes=50)
    assert "servers" in named()
    ended(gone, minutes=11)
    assert named() == {}


def test_a_server_whose_lease_another_found_expired_is_named() -> None:
    server(process="elsewhere", lease_until=Now(), ended_at=Now())
    assert "gone without having left" in named()["servers"]


def test_a_server_and_a_supervisor_that_can_not_renew_their_leases_are_not_called_gone() -> None:
    """As with a full disk, or where the database's clock was changed."""
    server(process=own_identity(), lease_until=Now() - timedelta(minutes=1))
    add_service("weather", Service.Status.RUNNING)
    add_supervisor(process=own_identity(), lease_until=Now() - timedelta(minutes=1))
    said = named()
    for check in ("servers", "supervisor"):
        assert "lives, but its lease has run out" in said[check]
        assert "Mend what is said of the database" in said[check]
    assert "lives, but its lease has run out" in said["servers"]
    assert "Start" not in said["servers"]


def test_a_server_that_left_is_not_named() -> None:
    servers.retire(server().pk)
    assert named() == {}


def test_a_server_that_left_after_its_lease_had_expired_is_not_named() -> None:
    row = server(lease_until=Now() - timedelta(minutes=1))
    servers.retire(row.pk)
    assert named() == {}


def test_a_server_that_left_after_it_was_declared_dead_is_not_named() -> None:
    row = server()
    servers.end(row.pk)
    servers.retire(row.pk)
    assert named() == {}


def test_a_server_that_was_started_again_at_its_address_is_not_named() -> None:
    former, other = server(), server(8001)
    servers.end_gone_servers("another")
    for row in (former, other):
        ended(row, minutes=1)
    server(process=own_identity())
    assert "here:8001 " in named()["servers"]
    servers.retire(server(8001, process=own_identity()).pk)
    assert named() == {}


def test_a_command_that_was_killed_is_not_missed_as_a_server() -> None:
    servers.end(server(port=0).pk)
    assert named() == {}


def test_servers_of_the_site_that_was_copied_are_not_missed() -> None:
    server(lease_until=Now() - timedelta(hours=2))
    leave_processes_behind()
    assert named() == {}


@pytest.mark.parametrize("is_given_up", [False, True])
def test_a_frozen_server_is_named_with_how_it_goes_on(frozen: str, is_given_up: bool) -> None:
    row = server(process=frozen)
    if is_given_up:
        servers.end(row.pk)
    said = named()["servers"]
    assert "is frozen" in said
    assert f"(kill -CONT {pid_of(frozen)})" in said
    assert "Start it again" not in said


def test_a_server_that_was_given_up_is_named_for_as_long_as_it_is_frozen(frozen: str) -> None:
    row = server(process=frozen)
    servers.end(row.pk)
    ended(row, hours=20)
    assert "is frozen" in named()["servers"]


@pytest.mark.parametrize("lease_s", [-60, 60])
def test_a_frozen_supervisor_is_named_and_not_missed(frozen: str, lease_s: int) -> None:
    add_service("weather", Service.Status.RUNNING)
    assert "nothing supervises it" in named()["supervisor"]
    add_supervisor(process=frozen, lease_until=Now() + timedelta(seconds=lease_s))
    said = named()["supervisor"]
    assert said.startswith(f"The supervisor of machine-1 (process {pid_of(frozen)}) is frozen")
    assert f"(kill -CONT {pid_of(frozen)})" in said
    Supervisor.objects.update(ended_at=Now())
    assert "nothing supervises it" in named()["supervisor"]


def test_a_frozen_supervisor_of_one_service_is_not_missed_there(frozen: str) -> None:
    one = add_service("one", Service.Status.RUNNING)
    add_supervisor(process=frozen, service=one, lease_until=Now())
    assert "(process" in named()["supervisor"]
    add_service("other", Service.Status.RUNNING)
    assert named()["supervisor"].startswith("other should run")
