"""Output in any encoding: characters that it lacks are replaced, and never end a command."""

from __future__ import annotations

import io
import sys

BREAKING = frozenset({"strict", "surrogateescape"})
"""Error handlers that fail at a character which the encoding lacks."""


def accept_any_text() -> None:
    """Applies to this process's standard streams, from now on."""
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
