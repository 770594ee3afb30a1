"""JSON text with half a surrogate pair, which is no valid Unicode, made valid."""

from __future__ import annotations

import re

# A backslash pair, a surrogate pair, or (the group) a surrogate on its own.
_ESCAPES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def replace_lone_surrogates(json_text: bytes) -> bytes:
    """The same JSON with U+FFFD for every escaped surrogate that has no partner."""
    return _ESCAPES.sub(lambda match: rb"\ufffd" if match[1] else match[0], json_text)
