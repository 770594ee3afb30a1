"""Reads the rows of servers and of their chores, for `processes` to judge."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address

import psutil
from django.conf import settings
from django.db.models import Min
from django.utils import timezone

from agents.models import LEASE_HOLDS, Server
from agents.runtime.process import is_of_here, is_provably_gone, pid_of
from services.doctor import measuring, processes
from services.doctor.finding import Finding
from services.doctor.processes import PRUNING_LATE, Chores, ServerFacts
from traces import pruning
from traces.models import Span
from traces.statistics import rolling


def look_at_processes() -> Iterator[Finding]:
    rows = list(Server.objects.filter(ended_at__isnull=True))
    holding = set(Server.objects.filter(LEASE_HOLDS).values_list("pk", flat=True))
    found = [_facts_of(row, has_lease=row.pk in holding) for row in rows]
    is_open = settings.MYAGENT_AUTH == "open"
    yield from processes.judge_servers(found, is_open=is_open)
    live = [row for row, facts in zip(rows, found, strict=True) if not facts.is_dead]
    yield from measuring.look_at_files(live)
    yield from processes.judge_chores(_chores(), timezone.now())


def _facts_of(server: Server, *, has_lease: bool) -> ServerFacts:
    is_dead = not has_lease or is_provably_gone(server.process)
    return ServerFacts(
        name=f"{server.host}:{server.port} ({pid_of(server.process)})",
        version=server.version,
        is_dead=is_dead,
        is_exposed=not is_dead and is_of_here(server.process) and _is_exposed(server),
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
