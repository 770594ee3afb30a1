"""The widths of a table's columns, so that no text is lost. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len

GAP = 2
"""Blanks between two columns."""


def widths(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    room: int,
    *,
    breakable: Mapping[int, int],
) -> list[int] | None:
    """The width of each column; None if the table does not fit into `room`.

    Values stay on one line, except in `breakable` columns: each has a minimum width, below which
    only its own words can make it. Headings are broken between words.
    """
    cells = [[row[index] for row in rows] for index in range(len(headings))]
    wanted = [_widest([heading, *values]) for heading, values in zip(headings, cells, strict=True)]
    least = [
        max(
            _widest(heading.split()),
            _least(values, breakable[index]) if index in breakable else _widest(values),
        )
        for index, (heading, values) in enumerate(zip(headings, cells, strict=True))
    ]
    left = room - GAP * (len(headings) - 1)
    if sum(least) > left:
        return None
    while sum(wanted) > left:
        # The widest breakable column is narrowed.
        free = [i for i, (has, needs) in enumerate(zip(wanted, least, strict=True)) if has > needs]
        wanted[max(free, key=lambda i: wanted[i])] -= 1
    return wanted


def _least(values: Sequence[str], width: int) -> int:
    return min(width, _widest(values))


def _widest(texts: Sequence[str]) -> int:
    return max(map(cell_len, texts), default=0)
