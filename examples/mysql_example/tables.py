"""Rows as a table in Markdown, short enough for a model to read. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mysql_example.database import Rows

MAX_CELL = 200
"""Characters of a cell."""

MAX_TABLE = 20_000
"""Characters of all rows together."""


def markdown(found: Rows) -> str:
    """The table, and below it in words what was left out."""
    if not found.rows:
        return "No rows."
    head = [_line(found.columns), _line(["---"] * len(found.columns))]
    rows = list(_within(MAX_TABLE, map(_line, found.rows)))
    return "\n".join([*head, *rows, *_notes(found, len(rows))])


def _within(most: int, lines: Iterator[str]) -> Iterator[str]:
    """The lines up to a length, and the first in any case."""
    length = 0
    for number, line in enumerate(lines):
        length += len(line)
        if number and length > most:
            return
        yield line


def _notes(found: Rows, shown: int) -> Iterator[str]:
    if found.has_more or shown < len(found.rows):
        yield f"\nOnly the first {shown} rows are shown; there are more."
    if any(len(_text(cell)) > MAX_CELL for row in found.rows[:shown] for cell in row):
        yield f"\nTexts of more than {MAX_CELL} characters are cut; … stands for the rest."


def _line(cells: Sequence[Any]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(value: Any) -> str:
    text = _text(value)
    if len(text) > MAX_CELL:
        text = f"{text[:MAX_CELL]}…"
    return text.replace("\\", "\\\\").replace("|", "\\|")


def _text(value: Any) -> str:
    """One line of text."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    return " ".join(str(value).split())
