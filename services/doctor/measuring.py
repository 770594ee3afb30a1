"""Measures this machine, for `machine` to judge."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
from django.conf import settings
from django.utils.translation import gettext_noop

from agents.models import Server
from agents.runtime.process import is_of_here, pid_of
from myagent.sentence import Said
from services.doctor import machine
from services.doctor.finding import Finding
from services.doctor.machine import Disk, Files

MB = 1024 * 1024


def look_at_disks() -> Iterator[Finding]:
    var_dir = Path(settings.VAR_DIR)
    yield machine.judge_disk(disk_of(var_dir))
    nearest = _existing(var_dir)
    yield from machine.judge_owner(nearest.stat().st_uid, os.geteuid(), str(nearest))
    database = settings.DATABASES["default"]
    if settings.IS_EMBEDDED:
        folder = Path(database["NAME"]).resolve().parent
        if folder != var_dir:
            yield machine.judge_disk(disk_of(folder))


def disk_of(folder: Path) -> Disk:
    """A folder that is not there yet is judged by the one that it will be made in."""
    place = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
        usage, system = shutil.disk_usage(place), os.statvfs(place)
    except OSError as error:
        return Disk(str(folder), failure=error.strerror or str(error))
    # Some file systems have no fixed number of files.
    inodes = system.f_favail if system.f_files else None
    return Disk(str(folder), usage.free // MB, inodes)


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def look_at_files(servers: list[Server]) -> Iterator[Finding]:
    """The servers of this machine have limits of their own; without any, this process's counts."""
    found = [
        files
        for server in servers
        if is_of_here(server.process) and (files := _files_of(server)) is not None
    ]
    if not found:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        found = [Files(Said(gettext_noop("A server that is started here")), _number(soft))]
    per_address = settings.MYAGENT_CONNECTIONS_PER_ADDRESS
    for files in found:
        yield machine.judge_files(files, per_address=per_address)


def _files_of(server: Server) -> Files | None:
    """None if the process may not be looked into."""
    try:
        soft, _ = psutil.Process(pid_of(server.process)).rlimit(psutil.RLIMIT_NOFILE)
    except (psutil.Error, AttributeError):
        return None
    return Files(f"{server.address or server.service} ({pid_of(server.process)})", _number(soft))


def _number(limit: int) -> int:
    return 1 << 30 if limit == resource.RLIM_INFINITY else limit
