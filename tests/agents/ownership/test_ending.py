"""What a removed service leaves unfinished is ended, but not from under a server that may live."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from agents.log.commit import Batch
from agents.models import Run, Server
from agents.ownership import servers
from agents.ownership.ending import SILENT_FOR, end_unfinished_runs
from agents.ownership.servers import Renewal
from agents.runtime.process import own_identity
from tests.agents.logs import SERVICE, accepted, created, new_ref, new_server

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

JUST_NOW, LONG_AGO = timedelta(seconds=1), SILENT_FOR + timedelta(seconds=1)


def run_of(process: str, over_for: timedelta) -> tuple[str, Run]:
    """A server whose lease is over, and its unfinished run."""
    server_id = new_server(process)
    write, ref = created(server_id), new_ref()
    Batch([write, accepted(write.session_id, 1, ref)]).commit()
    Server.objects.filter(pk=server_id).update(lease_until=Now() - over_for)
    return server_id, Run.objects.get(pk=ref.run_id)


@pytest.mark.parametrize(
    ("over_for", "by_lease"), [(JUST_NOW, True), (JUST_NOW, False), (LONG_AGO, False)]
)
def test_a_server_that_may_live_keeps_its_runs_and_the_removal_waits(
    over_for: timedelta, by_lease: bool
) -> None:
    server_id, run = run_of("another-boot/1/1/1", over_for)
    assert not end_unfinished_runs(SERVICE, by_lease=by_lease)
    run.refresh_from_db()
    assert run.status in Run.UNFINISHED
    assert servers.renew(server_id, 60, {}) is Renewal.LAPSED
    # It is left to the server, which lives.
    assert end_unfinished_runs(SERVICE, by_lease=by_lease)


@pytest.mark.parametrize(
    ("process", "over_for", "by_lease"),
    [
        pytest.param("another-boot/1/1/1", LONG_AGO, True, id="silent"),
        pytest.param(f"{own_identity()}9", JUST_NOW, False, id="gone"),
    ],
)
def test_the_runs_of_a_dead_server_are_ended(
    process: str, over_for: timedelta, by_lease: bool
) -> None:
    server_id, run = run_of(process, over_for)
    assert not end_unfinished_runs(SERVICE, by_lease=by_lease)
    assert end_unfinished_runs(SERVICE, by_lease=by_lease)
    run.refresh_from_db()
    assert run.status == Run.Status.INTERRUPTED
    assert servers.renew(server_id, 60, {}) is Renewal.ENDED
