"""Judges who may read and change the file with the site's settings. No I/O."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext_noop

from services.doctor.finding import Finding, fine, problem, warning

ADVICE = gettext_noop(
    "chmod 600 {file} (or 640, if the site's user reads it as one of its group); and change the "
    "keys and passwords in it if those who may read it are not to be trusted."
)


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """`mode`: as `os.stat` tells it."""

    path: str
    mode: int


def judge(found: SettingsFile | None) -> Iterator[Finding]:
    """None: there is none. Its group may read it: the site's user may be there only as a member."""
    if found is None:
        return
    values = {"file": found.path, "mode": f"{stat.S_IMODE(found.mode):04o}"}
    if found.mode & stat.S_IWOTH:
        yield problem(
            "settings_file",
            gettext_noop(
                "Every user of this machine may change the settings in {file} (mode {mode})."
            ),
            gettext_noop(
                "chmod 600 {file}; see that nobody has changed it, and change the keys and "
                "passwords in it if those who may read it are not to be trusted."
            ),
            **values,
        )
    elif found.mode & stat.S_IROTH:
        yield warning(
            "settings_file",
            gettext_noop(
                "Every user of this machine may read {file} (mode {mode}), where keys and "
                "passwords are."
            ),
            ADVICE,
            **values,
        )
    elif found.mode & stat.S_IWGRP:
        yield warning(
            "settings_file",
            gettext_noop("Others of its group may change the settings in {file} (mode {mode})."),
            ADVICE,
            **values,
        )
    else:
        yield fine(
            "settings_file", gettext_noop("{file} is kept from others (mode {mode})."), **values
        )
