"""Makes foreign text harmless: it neither controls a terminal nor reorders text."""

from __future__ import annotations

import re

from myagent import exact_json

DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Characters that change the order in which text is displayed."""

_NOT_SHOWN = dict.fromkeys(
    code
    for code in (*range(0x20), *range(0x7F, 0xA0), *DIRECTIONS)
    if chr(code) not in "\n\t"
)  # fmt: skip

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # operating system commands, such as a title
    r"|[\x1b\x9b]\[?[0-?]*[ -/]*[@-~]"  # colours, movements
)
"""A terminal's escape sequences (ECMA-48)."""


def inert(text: object) -> str:
    """The text, or a part of one, without control characters (C0, DEL, C1, directions).

    Newline and tab stay.
    """
    return str(text).translate(_NOT_SHOWN)


def readable(text: object) -> str:
    """A whole log line or error, inert and without terminal escape sequences."""
    return inert(_ESCAPES.sub("", str(text)))


def one_line(value: object, longest: int = 120) -> str:
    """A value on one line of at most so many characters: texts as they are, others as JSON."""
    text = value if isinstance(value, str) else exact_json.encode(value).decode()
    # Cut first: a tool's result may be large.
    line = " ".join(readable(text[: longest * 4]).split())
    is_cut = len(line) > longest or len(text) > longest * 4
    return f"{line[:longest]}…" if is_cut else line
