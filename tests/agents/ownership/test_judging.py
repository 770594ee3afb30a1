"""Who may consider a server with an expired lease dead, and from when on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from agents.log.commit import Batch
from agents.models import Server
from agents.ownership import servers, taking
from agents.ownership.servers import Renewal
from agents.runtime.process import own_identity
from tests.agents.logs import SERVICE, accepted, created, let_judge, new_ref, new_server

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

LEASE_S = 60.0


@pytest.fixture(autouse=True)
def long_leases(settings: Any) -> None:
    """No lease ends in a test by itself."""
    settings.MYAGENT_LEASE_S = LEASE_S


@pytest.fixture
def own_id() -> str:
    """A server that has just begun."""
    server = Server(id="s", service=SERVICE, host="here", process=own_identity())
    servers.register(server, LEASE_S)
    return server.pk


@pytest.fixture
def session_id() -> str:
    """A session with an unfinished run whose owner has not renewed its lease in time."""
    return left_by(new_server(lease_s=-1))


def left_by(server_id: str) -> str:
    write = created(server_id)
    Batch([write, accepted(write.session_id, 1, new_ref())]).commit()
    return write.session_id


def assert_judges_nobody(own_id: str, session_id: str) -> None:
    assert taking.adoptable([SERVICE], own_id) == []
    with pytest.raises(taking.OwnedElsewhere):
        taking.take(session_id, [SERVICE], own_id)


def test_one_that_has_begun_waits_until_the_others_had_time_to_renew(
    own_id: str, session_id: str
) -> None:
    assert_judges_nobody(own_id, session_id)
    let_judge(own_id)
    assert taking.adoptable([SERVICE], own_id) == [session_id]
    assert taking.take(session_id, [SERVICE], own_id).epoch == 2


def test_one_whose_own_lease_has_lapsed_waits_from_its_renewal_on(
    own_id: str, session_id: str
) -> None:
    let_judge(own_id)
    Server.objects.filter(pk=own_id).update(lease_until=Now())
    assert_judges_nobody(own_id, session_id)
    assert servers.renew(own_id, LEASE_S, {}) is Renewal.LAPSED
    assert_judges_nobody(own_id, session_id)
    assert servers.renew(own_id, LEASE_S, {}) is Renewal.HELD
    assert_judges_nobody(own_id, session_id)
    let_judge(own_id)
    assert servers.renew(own_id, LEASE_S, {}) is Renewal.HELD
    assert taking.adoptable([SERVICE], own_id) == [session_id]


@pytest.mark.parametrize("renews_first", [False, True])
def test_one_that_missed_a_renewal_waits_though_its_lease_holds(
    own_id: str, session_id: str, renews_first: bool
) -> None:
    """An outage ends the lease first that was renewed longest before it."""
    let_judge(own_id)
    Server.objects.filter(pk=own_id).update(lease_until=Now() + timedelta(seconds=LEASE_S / 5))
    if not renews_first:
        assert_judges_nobody(own_id, session_id)
    assert servers.renew(own_id, LEASE_S, {}) is Renewal.LATE
    assert_judges_nobody(own_id, session_id)
    assert servers.renew(own_id, LEASE_S, {}) is Renewal.HELD
    assert_judges_nobody(own_id, session_id)
    let_judge(own_id)
    assert taking.adoptable([SERVICE], own_id) == [session_id]


def test_what_was_judged_is_the_lease_that_was_seen(
    own_id: str, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_judge(own_id)
    declare = taking._is_declared_dead

    def come_late(seen: Server) -> bool:
        """The owner has renewed its lease meanwhile, and the database then stood still."""
        assert servers.renew(seen.pk, LEASE_S, {}) is Renewal.LAPSED
        Server.objects.update(lease_until=Now())
        return declare(seen)

    monkeypatch.setattr(taking, "_is_declared_dead", come_late)
    with pytest.raises(taking.OwnedElsewhere):
        taking.take(session_id, [SERVICE], own_id)
    assert not Server.objects.filter(ended_at__isnull=False).exists()


def test_a_lease_that_ended_at_a_whole_second_can_be_judged(own_id: str) -> None:
    """SQLite keeps that moment in another form than it is asked about."""
    let_judge(own_id)
    session_id = left_by(owner_id := new_server())
    with connection.cursor() as cursor:
        moment = "2026-01-02 03:04:05.000"
        cursor.execute(
            "UPDATE agents_server SET lease_until = %s WHERE id = %s", [moment, owner_id]
        )
    assert taking.take(session_id, [SERVICE], own_id).epoch == 2


def test_a_clock_that_is_set_back_costs_no_more_than_a_lease_period(own_id: str) -> None:
    own = Server.objects.filter(pk=own_id)
    own.update(judges_from=Now() + timedelta(hours=1), lease_until=Now() + timedelta(hours=1))
    assert servers.renew(own_id, LEASE_S, {}) is Renewal.HELD
    server = own.get()
    assert server.judges_from == server.lease_until
