"""What a removed service leaves unfinished is ended, but not from under a server that may live."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import QuerySet
from django.db.models.functions import Now

from agents.log.commit import Batch
from agents.models import Run, Server
from agents.ownership import servers
from agents.ownership.ending import SILENT_S, end_unfinished_runs
from agents.ownership.servers import Renewal
from agents.runtime.process import own_identity
from services.models import Supervisor
from services.supervision.supervisor_lease import MACHINE, held
from tests.agents.logs import LEASE_S, SERVICE, accepted, created, new_ref, new_server

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

JUST_NOW, LONG_AGO = timedelta(seconds=1), timedelta(seconds=SILENT_S + 1)
ELSEWHERE = "another-boot/1/1/1"

JUDGES, JUDGES_NO_MORE = "judges", "judges no more"
"""The lease of the supervisor that ends the runs holds, or is over."""


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> QuerySet[Supervisor] | None:
    if request.param is None:
        return None
    left = timedelta(seconds=LEASE_S if request.param == JUDGES else -1)
    Supervisor.objects.create(
        node=MACHINE.lease, process=own_identity(), started_at=Now(), lease_until=Now() + left
    )
    return held(MACHINE)


def run_of(process: str, over_for: timedelta) -> tuple[str, Run]:
    """A server whose lease is over, and its unfinished run."""
    server_id = new_server(process)
    write, ref = created(server_id), new_ref()
    Batch([write, accepted(write.session_id, 1, ref)]).commit()
    Server.objects.filter(pk=server_id).update(lease_until=Now() - over_for)
    return server_id, Run.objects.get(pk=ref.run_id)


@pytest.mark.parametrize(
    ("over_for", "judge", "lease_s"),
    indirect=["judge"],
    argvalues=[
        pytest.param(JUST_NOW, JUDGES, 15, id="silent for a moment"),
        pytest.param(LONG_AGO, JUDGES, 300, id="with long leases"),
        pytest.param(LONG_AGO, JUDGES_NO_MORE, 15, id="the caller's lease is over"),
        pytest.param(LONG_AGO, None, 15, id="the caller has just begun"),
    ],
)
def test_a_server_that_may_live_keeps_its_runs_and_the_removal_waits(
    over_for: timedelta, judge: QuerySet[Supervisor] | None, lease_s: float, settings: Any
) -> None:
    settings.MYAGENT_LEASE_S = lease_s
    server_id, run = run_of(ELSEWHERE, over_for)
    assert not end_unfinished_runs(SERVICE, judge=judge)
    run.refresh_from_db()
    assert run.status in Run.UNFINISHED
    assert servers.renew(server_id, 60, {}) is Renewal.LAPSED
    # It is left to the server, which lives.
    assert end_unfinished_runs(SERVICE, judge=judge)


@pytest.mark.parametrize(
    ("process", "over_for", "judge"),
    indirect=["judge"],
    argvalues=[
        pytest.param(ELSEWHERE, LONG_AGO, JUDGES, id="silent"),
        pytest.param(f"{own_identity()}9", JUST_NOW, None, id="gone"),
    ],
)
def test_the_runs_of_a_dead_server_are_ended(
    process: str, over_for: timedelta, judge: QuerySet[Supervisor] | None
) -> None:
    server_id, run = run_of(process, over_for)
    of_others = new_server(ELSEWHERE)
    Server.objects.filter(pk=of_others).update(lease_until=Now() - over_for)
    assert not end_unfinished_runs(SERVICE, judge=judge)
    assert end_unfinished_runs(SERVICE, judge=judge)
    run.refresh_from_db()
    assert run.status == Run.Status.INTERRUPTED
    assert servers.renew(server_id, 60, {}) is Renewal.ENDED
    # It has nothing of the service, and is not judged.
    assert servers.renew(of_others, 60, {}) is Renewal.LAPSED


def test_the_runs_of_a_conversation_without_an_owner_are_ended() -> None:
    server_id, run = run_of(ELSEWHERE, JUST_NOW)
    _, of_one_that_may_live = run_of(ELSEWHERE, JUST_NOW)
    servers.retire(server_id)
    assert not end_unfinished_runs(SERVICE, judge=None)
    run.refresh_from_db()
    of_one_that_may_live.refresh_from_db()
    assert run.status == Run.Status.INTERRUPTED
    assert of_one_that_may_live.status in Run.UNFINISHED
