"""Values of options that several verbs take."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta

from django.utils.translation import gettext

from agents.terminal.inert import readable

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def time_length(text: str) -> timedelta:
    """`30d` and the like. Raises `argparse.ArgumentTypeError`."""
    found = re.fullmatch(r"([0-9]{1,5})([smhdw])", text)
    if found is None:
        raise argparse.ArgumentTypeError(
            gettext("'{text}' is no length of time: say 30d, 12h, 90m or 60s.").format(
                text=readable(text)
            )
        )
    return timedelta(**{UNITS[found[2]]: int(found[1])})
