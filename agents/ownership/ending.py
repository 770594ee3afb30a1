"""Ends runs that nobody will continue, on behalf of whoever removes their service."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet

from agents.log import kinds, recorders
from agents.log.closing import closing_results
from agents.log.commit import Batch
from agents.log.entry import Entry, RunRef
from agents.log.reading import UnfinishedRun
from agents.log.writes import RunFacts, Write
from agents.models import LEASE_HOLDS, Run, Server
from agents.ownership import servers
from agents.ownership.adoption import adopt
from agents.ownership.taking import OwnedElsewhere, UnknownSession
from agents.runtime.durations import ms_between
from agents.runtime.ids import new_id
from agents.runtime.process import own_identity

AT_ONCE = 50
"""Sessions whose runs are ended in one call."""

SILENT_S = 60.0
"""Seconds for which the lease of a server is over, at least, before it is considered dead here.

What keeps a live one from the database for so long ends the lease of whoever judges it, too.
"""


def end_unfinished_runs(service: str, *, judge: QuerySet[Any] | None) -> bool:
    """Ends some of the runs as interrupted; True once none is left to end here. Synchronous.

    Sessions of live servers are left to those. A server whose lease has long been over is
    considered dead while `judge` finds a row, the caller's own lease; with None only proof counts.
    Raises `django.db.Error`; may be called again.
    """
    unfinished = Run.objects.filter(status__in=Run.UNFINISHED, session__service=service)
    # Sessions that an earlier call of this process left behind when the database failed.
    own = Server.objects.filter(service=service, ended_at__isnull=True, process=own_identity())
    for former in own.filter(port=0):
        servers.retire(former.pk)
    left = unfinished.exclude(session__owner__in=Server.objects.filter(LEASE_HOLDS))
    if not left.exists():
        return True
    _declare_dead(left, judge)
    free = left.filter(Q(session__owner__isnull=True) | Q(session__owner__ended_at__isnull=False))
    session_ids = list(free.values_list("session_id", flat=True).distinct()[:AT_ONCE])
    if not session_ids:
        return False
    # Only the owner of a session may write to its log, so this process briefly acts as a server.
    owner = Server(id=new_id(), service=service, host=socket.gethostname(), process=own_identity())
    servers.register(owner, settings.MYAGENT_LEASE_S)
    try:
        for session_id in session_ids:
            _end_runs_of(session_id, service, owner.pk)
    finally:
        servers.retire(owner.pk)
    return False


def _declare_dead(left: QuerySet[Run], judge: QuerySet[Any] | None) -> None:
    """Ends the leases of servers that are gone, and of silent ones that have some of the runs."""
    servers.end_gone_servers()
    if judge is not None:
        owned = left.filter(session__owner__isnull=False)
        owners = set(owned.values_list("session__owner_id", flat=True))
        since = timedelta(seconds=max(SILENT_S, settings.MYAGENT_LEASE_S))
        servers.end_silent(owners, since=since, judge=judge)


def _end_runs_of(session_id: str, service: str, owner_id: str) -> None:
    try:
        adopted = adopt(session_id, [service], owner_id)
    except (OwnedElsewhere, UnknownSession):
        return
    runs = adopted.opened.unfinished
    written = [entry for run in runs for entry in _ending(run, adopted.taken.lang)]
    write = Write(
        session_id,
        adopted.taken.epoch,
        written,
        ends={run.run_id: Run.Status.INTERRUPTED for run in runs},
        ended=[_facts(run) for run in runs if run.started_at is not None],
    )
    # If this is refused, another server owns the session by now and ends the runs.
    Batch([write], recorders.configured()).commit()


def _facts(run: UnfinishedRun) -> RunFacts:
    assert run.started_at is not None
    age_ms = ms_between(run.started_at, datetime.now(UTC))
    return RunFacts(run.run_id, run.attempts, run.state.step, bool(run.state.open_calls), age_ms)


def _ending(run: UnfinishedRun, lang: str) -> list[Entry]:
    ref = RunRef(run.run_id, run.message_id)
    effects = [call.call.name for call in run.state.open_calls if call.has_started]
    return [*closing_results(run.state, ref), kinds.interrupted(ref, lang, effects)]
