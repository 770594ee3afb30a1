"""Values of options that several verbs and commands take."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta

from django.utils.translation import gettext

from agents.terminal.inert import readable

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def span_count(text: str) -> int:
    """Steps of traces. Raises `argparse.ArgumentTypeError`."""
    if re.fullmatch(r"[0-9]{1,12}", text) is None:
        raise argparse.ArgumentTypeError(
            gettext("'{text}' is no number of steps.").format(text=readable(text))
        )
    return int(text)


def interval(text: str) -> float:
    """Seconds between two checks."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.05 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(
            gettext("'{text}' is no number of seconds above 0.").format(text=text)
        )
    return seconds


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
