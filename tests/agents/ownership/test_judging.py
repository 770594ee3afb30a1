"""Who may consider a server with an expired lease dead, and from when on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from agents.log.commit import Batch
from agents.models import Server
from agents.ownership import servers, taking
from agents.ownership.servers import Renewal
from agents.runtime.process import own_identity
from tests.agents.logs import SERVICE, accepted, created, new_ref, new_server

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

LEASE_S = 60.0


@pytest.fixture
def own_id() -> str:
    """A server that has just begun."""
    server = Server(id="s", service=SERVICE, host="here", process=own_identity())
    servers.register(server, LEASE_S)
    return server.pk


@pytest.fixture
def session_id() -> str:
    """A session with an unfinished run whose owner has not renewed its lease in time."""
    write = created(new_server(lease_s=-1))
    Batch([write, accepted(write.session_id, 1, new_ref())]).commit()
    return write.session_id


def wait_for_others(own_id: str) -> None:
    """As if a lease period had passed."""
    assert Server.objects.filter(pk=own_id).update(judges_from=Now())


def assert_judges_nobody(own_id: str, session_id: str) -> None:
    assert taking.adoptable([SERVICE], own_id) == []
    with pytest.raises(taking.OwnedElsewhere):
        taking.take(session_id, [SERVICE], own_id)


def test_one_that_has_begun_waits_until_the_others_had_time_to_renew(
    own_id: str, session_id: str
) -> None:
    assert_judges_nobody(own_id, session_id)
    wait_for_others(own_id)
    assert taking.adoptable([SERVICE], own_id) == [session_id]
    assert taking.take(session_id, [SERVICE], own_id).epoch == 2


def test_one_whose_own_lease_has_lapsed_waits_from_its_renewal_on(
    own_id: str, session_id: str
) -> None:
    wait_for_others(own_id)
    Server.objects.filter(pk=own_id).update(lease_until=Now())
    assert_judges_nobody(own_id, session_id)
    assert servers.renew(own_id, LEASE_S, {}) is Renewal.LAPSED
    assert_judges_nobody(own_id, session_id)
    assert servers.renew(own_id, LEASE_S, {}) is Renewal.HELD
    assert_judges_nobody(own_id, session_id)
    wait_for_others(own_id)
    assert servers.renew(own_id, LEASE_S, {}) is Renewal.HELD
    assert taking.adoptable([SERVICE], own_id) == [session_id]


def test_a_clock_that_is_set_back_costs_no_more_than_a_lease_period(own_id: str) -> None:
    own = Server.objects.filter(pk=own_id)
    own.update(judges_from=Now() + timedelta(hours=1), lease_until=Now() + timedelta(hours=1))
    assert servers.renew(own_id, LEASE_S, {}) is Renewal.HELD
    server = own.get()
    assert server.judges_from == server.lease_until
