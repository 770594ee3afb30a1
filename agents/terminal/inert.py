"""Text from elsewhere made harmless: nothing in it can control the terminal."""

from __future__ import annotations

import orjson

_CONTROLS = {
    code: None
    for code in (*range(0x20), *range(0x7F, 0xA0))
    if chr(code) not in "\n\t"
}  # fmt: skip


def inert(text: object) -> str:
    """The text without control characters (C0, DEL, C1) but newline and tab."""
    return str(text).translate(_CONTROLS)


def one_line(value: object, longest: int = 120) -> str:
    """A value on one line of at most so many characters: texts as they are, others as JSON."""
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    # Cut first: a tool's result may be large.
    line = " ".join(inert(text[: longest * 4]).split())
    is_cut = len(line) > longest or len(text) > longest * 4
    return f"{line[:longest]}…" if is_cut else line
