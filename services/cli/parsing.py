"""Values of options that several verbs and commands take."""

from __future__ import annotations

import argparse

from django.utils.translation import gettext


def tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()]


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
