"""Looks at the file with the site's settings, for `settings_file` to judge."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from services.doctor import settings_file
from services.doctor.finding import Finding
from services.doctor.settings_file import SettingsFile


def look_at_settings_file() -> Iterator[Finding]:
    return settings_file.judge(file_of(settings.ENV_FILE))


def file_of(path: Path) -> SettingsFile | None:
    """None if there is none, or none that stays: `MYAGENT_ENV_FILE` may name a device or a pipe."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    return SettingsFile(str(path), mode) if stat.S_ISREG(mode) else None
