"""Looks at what the network may register, for `registering` to judge."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from services.doctor import registering
from services.doctor.finding import Finding
from services.doctor.registering import Folder


def look_at_registering() -> Iterator[Finding]:
    yield from registering.judge_folders([folder_of(name) for name in settings.MYAGENT_AGENT_DIRS])
    yield from registering.judge_variables(settings.MYAGENT_ENV_ALLOWED)


def folder_of(name: str) -> Folder:
    resolved = os.path.realpath(name)
    is_folder = os.path.isdir(resolved) and os.access(resolved, os.R_OK | os.X_OK)
    mode = os.stat(resolved).st_mode if is_folder else 0
    return Folder(
        name,
        resolved,
        is_folder=is_folder,
        is_relative=not Path(name).is_absolute(),
        # Of a sticky one each user may replace only his own, which can't be registered.
        is_open_to_all=bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX,
    )
