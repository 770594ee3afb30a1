"""Judges this machine: its clock, its open files, its disks. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext_noop

from agents.runtime.http.admission import reserve_of
from myagent.sentence import Said
from services.doctor.finding import Finding, fine, problem, warning

SKEW_S = 2.0
"""Seconds by which clocks may differ; see docs/operating.md, *Several servers*."""

SKEW_TOO_LARGE_S = 10.0

FEW_FILES = 256
"""So few descriptors are used up by a few dozen clients."""

LITTLE_DISK_MB = 100
LOW_DISK_MB = 1024
FEW_INODES = 1000


@dataclass(frozen=True, slots=True)
class Disk:
    """A folder; `failure`: why nothing can be written there. `inodes` is None if unlimited."""

    folder: str
    free_mb: int = 0
    inodes: int | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Files:
    """The limit of open files of a process: a server's, or this one's."""

    process: str | Said
    limit: int


def judge_clock(ahead_s: float, round_trip_s: float) -> Finding:
    """`ahead_s`: by how much the database's clock is ahead of this machine's."""
    certain_s = max(0.0, abs(ahead_s) - round_trip_s)
    values = {"seconds": round(ahead_s, 1)}
    if certain_s <= SKEW_S:
        return fine("clock", gettext_noop("The clocks of machine and database agree."))
    fact = gettext_noop("The database's clock is {seconds} s ahead of this machine's.")
    advice = gettext_noop(
        "Let both machines keep time (chrony, systemd-timesyncd): `timedatectl` shows which does "
        "not."
    )
    judged = problem if certain_s > SKEW_TOO_LARGE_S else warning
    return judged("clock", fact, advice, **values)


def judge_files(found: Files, *, per_address: int) -> Finding:
    """`per_address`: the sockets that one address may have; 0 if there is no limit."""
    room = found.limit - reserve_of(found.limit)
    values = {
        "process": found.process,
        "limit": found.limit,
        "room": room,
        "per_address": per_address,
    }
    advice = gettext_noop(
        "Raise it where the server is started: `ulimit -n 20000`, LimitNOFILE=20000 in systemd."
    )
    if found.limit < FEW_FILES:
        fact = gettext_noop("{process} may have {limit} files open: {room} clients at most.")
        return problem("open_files", fact, advice, **values)
    if room < per_address:
        fact = gettext_noop(
            "{process} may have {limit} files open: one client address, which may have "
            "{per_address} sockets, can use them all up."
        )
        return warning("open_files", fact, advice, **values)
    fact = gettext_noop("{process} may have {limit} files open: {room} clients at a time.")
    return fine("open_files", fact, **values)


def judge_disk(found: Disk) -> Finding:
    values = {
        "folder": found.folder,
        "free": found.free_mb,
        "inodes": found.inodes or 0,
        "reason": found.failure,
    }
    if found.failure:
        return problem(
            "disk",
            gettext_noop("Nothing can be written in {folder}: {reason}."),
            gettext_noop("Let the site's user write there, or set MYAGENT_VAR_DIR."),
            **values,
        )
    advice = gettext_noop(
        "Make room: old conversations (`manage.py sessions prune`), logs, other files; a full disk "
        "makes the site refuse messages."
    )
    if found.inodes is not None and found.inodes < FEW_INODES:
        fact = gettext_noop("The file system of {folder} has room for {inodes} more files.")
        return problem("disk", fact, advice, **values)
    fact = gettext_noop("Free where {folder} is: {free} MB.")
    if found.free_mb < LITTLE_DISK_MB:
        return problem("disk", fact, advice, **values)
    if found.free_mb < LOW_DISK_MB:
        return warning("disk", fact, advice, **values)
    return fine("disk", fact, **values)


def judge_owner(owner: int, own: int, folder: str) -> Iterator[Finding]:
    """Whether the examination sees what the site sees."""
    if owner == own:
        return
    yield warning(
        "user",
        gettext_noop("{folder} belongs to user {owner}, and this is user {own}."),
        gettext_noop(
            "Run the examination as the site's user: what that one may read and write is what "
            "counts."
        ),
        folder=folder,
        owner=owner,
        own=own,
    )
