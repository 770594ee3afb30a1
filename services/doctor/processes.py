"""Judges the servers, and the work that they do from time to time. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext_noop

from services.doctor.finding import Finding, fine, problem, warning

ROLL_UP_LATE = timedelta(hours=2)
"""After so long beyond its due an hour should have been counted."""

PRUNING_LATE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """`is_dead`: its process is provably gone, or, where that can't be seen, its lease has expired
    without its end. `is_late`: its lease has expired, and its process lives.

    `frozen_pid`: that of its process if it is frozen, which is told even if its lease has expired.
    `is_exposed`: it listens where other machines reach it.
    """

    name: str
    version: str
    is_dead: bool
    is_late: bool = False
    is_exposed: bool = False
    frozen_pid: int | None = None

    @property
    def runs(self) -> bool:
        return not self.is_dead and self.frozen_pid is None


@dataclass(frozen=True, slots=True)
class LivingSupervisor:
    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class Chores:
    """`uncounted`: the end of the oldest span that is in no statistics; `unpruned`: of the oldest
    trace that should have been removed. None: there is none.
    """

    uncounted: datetime | None
    unpruned: datetime | None


def judge_servers(found: Sequence[ServerFacts], *, is_open: bool) -> Iterator[Finding]:
    live = [server for server in found if server.runs]
    for server in found:
        yield from _judge_server(server, is_open=is_open)
    versions = {server.version for server in live} - {""}
    if len(versions) > 1:
        yield warning(
            "versions",
            gettext_noop("Servers of several versions run: {versions}."),
            gettext_noop("Fine while an upgrade is under way; else restart the older ones."),
            versions=", ".join(sorted(versions)),
        )
    yield fine("servers", gettext_noop("Servers that run: {count}."), count=len(live))


def _judge_server(found: ServerFacts, *, is_open: bool) -> Iterator[Finding]:
    if found.frozen_pid is not None:
        yield warning(
            "servers",
            gettext_noop("The server {name} is frozen (SIGSTOP), and answers nobody."),
            gettext_noop(
                "Let it go on (kill -CONT {pid}) or end it (kill -KILL {pid}): its conversations "
                "go on at any server of the site."
            ),
            name=found.name,
            pid=found.frozen_pid,
        )
    elif found.is_dead:
        yield warning(
            "servers",
            gettext_noop("The server {name} is gone without having left."),
            gettext_noop("Start it again: its conversations go on at any server of the site."),
            name=found.name,
        )
    elif found.is_late:
        yield warning(
            "servers",
            gettext_noop(
                "The server {name} lives, but its lease has run out: it could not renew it in the "
                "database, or the database's clock was changed."
            ),
            gettext_noop(
                "Mend what is said of the database, its disk and the clocks; then it goes on by "
                "itself."
            ),
            name=found.name,
        )
    elif found.is_exposed and is_open:
        yield warning(
            "access",
            gettext_noop("{name} can be reached from other machines, and MYAGENT_AUTH is open."),
            gettext_noop("Set MYAGENT_AUTH=token, or listen on 127.0.0.1 behind a proxy."),
            name=found.name,
        )


def judge_supervisors(
    *, frozen: Sequence[LivingSupervisor], late: Sequence[LivingSupervisor]
) -> Iterator[Finding]:
    """`late`: they have no lease any more."""
    for supervisor in frozen:
        yield problem(
            "supervisor",
            gettext_noop(
                "The supervisor of {name} (process {pid}) is frozen (SIGSTOP): it starts and "
                "checks nothing."
            ),
            gettext_noop(
                "Let it go on (kill -CONT {pid}), or end it (kill -KILL {pid}) and start another."
            ),
            name=supervisor.name,
            pid=supervisor.pid,
        )
    for supervisor in late:
        yield warning(
            "supervisor",
            gettext_noop(
                "The supervisor of {name} (process {pid}) lives, but its lease has run out: it "
                "starts and checks nothing."
            ),
            gettext_noop(
                "Mend what is said of the database, its disk and the clocks; if nothing is, end it "
                "(kill -KILL {pid}) and start another."
            ),
            name=supervisor.name,
            pid=supervisor.pid,
        )


def judge_chores(found: Chores, now: datetime) -> Iterator[Finding]:
    advice = gettext_noop(
        "Servers do it while they run: start one, and look for `background_task_failed` in its log."
    )
    is_late = False
    if found.uncounted is not None and now - found.uncounted > ROLL_UP_LATE:
        is_late = True
        yield warning(
            "chores",
            gettext_noop("Statistics of traces lack everything since {since}."),
            advice,
            since=f"{found.uncounted:%Y-%m-%d %H:%M} UTC",
        )
    if found.unpruned is not None:
        is_late = True
        yield warning(
            "chores",
            gettext_noop("Traces since {since} are older than MYAGENT_TRACE_DAYS."),
            advice,
            since=f"{found.unpruned:%Y-%m-%d %H:%M} UTC",
        )
    if not is_late:
        yield fine("chores", gettext_noop("Statistics and pruning are up to date."))
