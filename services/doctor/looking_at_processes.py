"""Reads the rows of servers and of their chores, for `processes` to judge."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address

import psutil
from django.conf import settings
from django.db.models import Exists, Min, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from agents.models import LEASE_HOLDS, Server
from agents.ownership.servers import WAS_GIVEN_UP
from agents.runtime.process import is_alive, is_of_here, is_provably_gone, is_stopped, pid_of
from services.doctor import measuring, processes
from services.doctor.finding import Finding
from services.doctor.processes import PRUNING_LATE, Chores, LivingSupervisor, ServerFacts
from services.models import Supervisor
from traces import pruning
from traces.models import Span
from traces.statistics import rolling

REMEMBERED = timedelta(hours=1)
"""For so long a server that was given up is missed; one that is frozen, for as long as it is."""


def look_at_processes() -> Iterator[Finding]:
    rows = _servers()
    holding = set(Server.objects.filter(LEASE_HOLDS).values_list("pk", flat=True))
    found = [_facts_of(row, has_lease=row.pk in holding) for row in rows]
    is_open = settings.MYAGENT_AUTH == "open"
    yield from processes.judge_servers(found, is_open=is_open)
    yield from _supervisors()
    live = [row for row, facts in zip(rows, found, strict=True) if not facts.is_dead]
    yield from measuring.look_at_files(live)
    yield from processes.judge_chores(_chores(), timezone.now())


def _servers() -> list[Server]:
    """Those that have not ended, and those that others gave up and nobody has started again."""
    followed = Server.objects.filter(
        host=OuterRef("host"), port=OuterRef("port"), started_at__gt=OuterRef("started_at")
    )
    # Without a port it had no clients: it was a command.
    given_up = Q(WAS_GIVEN_UP, ~Exists(followed), port__gt=0)
    known = Server.objects.filter(Q(ended_at__isnull=True) | given_up).order_by("started_at")
    long_ago = set(known.filter(ended_at__lte=Now() - REMEMBERED).values_list("pk", flat=True))
    return [row for row in known if row.pk not in long_ago or is_stopped(row.process)]


def _supervisors() -> Iterator[Finding]:
    rows = living_supervisors()
    # Read after them: one that has just begun has its lease.
    holding = set(Supervisor.objects.filter(LEASE_HOLDS).values_list("pk", flat=True))
    frozen, late = [], []
    for row in rows:
        found = LivingSupervisor(row.node, pid_of(row.process) or 0)
        if is_stopped(row.process):
            frozen.append(found)
        elif row.pk not in holding:
            late.append(found)
    yield from processes.judge_supervisors(frozen=frozen, late=late)


def living_supervisors() -> list[Supervisor]:
    """Those of which it is certain from here, whatever became of their leases."""
    rows = Supervisor.objects.filter(ended_at__isnull=True).order_by("node")
    return [row for row in rows if is_alive(row.process)]


def _facts_of(server: Server, *, has_lease: bool) -> ServerFacts:
    is_late = not has_lease and is_alive(server.process)
    is_dead = is_provably_gone(server.process) or not (has_lease or is_late)
    pid = pid_of(server.process)
    return ServerFacts(
        name=f"{server.host}:{server.port} ({pid})",
        version=server.version,
        is_dead=is_dead,
        is_late=is_late,
        is_exposed=not is_dead and is_of_here(server.process) and _is_exposed(server),
        frozen_pid=pid if is_stopped(server.process) else None,
    )


def _is_exposed(server: Server) -> bool:
    """Whether its process listens on its port at an address that other machines reach."""
    try:
        listening = psutil.Process(pid_of(server.process)).net_connections("tcp")
    except (psutil.Error, AttributeError):
        return False
    return any(
        each.status == psutil.CONN_LISTEN
        and each.laddr.port == server.port
        and not ip_address(each.laddr.ip).is_loopback
        for each in listening
    )


def _chores() -> Chores:
    marks, spans = rolling.marks(), Span.objects.all()
    if marks is not None:
        spans = spans.filter(ended_at__gte=marks.hours)
    unpruned = None
    if settings.MYAGENT_TRACE_DAYS:
        before = timezone.now() - timedelta(days=settings.MYAGENT_TRACE_DAYS) - PRUNING_LATE
        oldest = pruning.older(before).first()
        unpruned = None if oldest is None else oldest.ended_at
    return Chores(spans.aggregate(first=Min("ended_at"))["first"], unpruned)
