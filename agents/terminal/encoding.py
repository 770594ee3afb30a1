"""Terminals and pipes in any encoding: what it can't show is replaced, and ends no command."""

from __future__ import annotations

import io
import sys

BREAKING = frozenset({"strict", "surrogateescape"})
"""Ways to treat a character that fail at one which the encoding has not."""


def accept_any_text() -> None:
    """For this process's standard streams, from now on."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in BREAKING:
            stream.reconfigure(errors="replace")


def shows(text: str, encoding: str | None) -> bool:
    """Whether the encoding has all of the characters."""
    try:
        text.encode(encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True
