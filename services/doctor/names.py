"""Judges the names of variables that look like settings. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from django.utils.translation import gettext_noop

from services.doctor.finding import Finding, fine, warning

PREFIX = "MYAGENT_"

LIKENESS = 0.7
"""How alike the rest of a setting's name must be to be the one that was meant; see `difflib`."""


def judge(strange: Collection[str], known: Collection[str]) -> Iterator[Finding]:
    """`strange`: variables with the `PREFIX` of settings that are none."""
    rests = [name.removeprefix(PREFIX) for name in known if name.startswith(PREFIX)]
    for name in strange:
        meant = get_close_matches(name.removeprefix(PREFIX), rests, n=1, cutoff=LIKENESS)
        if meant:
            yield warning(
                "setting_names",
                gettext_noop("There is no setting {name}: it has no effect."),
                gettext_noop("Is {meant} meant? Write that, or take it out."),
                name=name,
                meant=f"{PREFIX}{meant[0]}",
            )
        else:
            yield warning(
                "setting_names",
                gettext_noop("There is no setting {name}: it has no effect."),
                gettext_noop("Take it out; docs/settings.md has all settings."),
                name=name,
            )
    if not strange:
        yield fine("setting_names", gettext_noop("All variables MYAGENT_… are settings."))
