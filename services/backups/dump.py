"""What a dump of MySQL or MariaDB is, as far as it is read before a server executes any of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from django.utils.translation import gettext_noop

from services.backups.files import HEAD_OF_SQL
from services.errors import ServiceError

COMPLETE = b"-- Dump completed"
"""How the last line of a whole dump begins."""

OF_A_CLIENT = re.compile(rb"/\*M?!999999\\- [^\n]*\n")
"""MariaDB's first line, by which a client executes no commands; other clients know it not."""

ELSEWHERE = re.compile(
    rb"\s*(?:/\*M?!\d*\s*)?(?:USE\b|(?:CREATE|DROP|ALTER)\s+(?:DATABASE|SCHEMA)\b)", re.IGNORECASE
)
"""The beginning of a line that leads to another database; a dump of one database has none."""

PIECE = 1 << 16
"""Bytes; a line may be as long as a row."""


def judge(path: Path) -> None:
    """Reads all of it. Raises `ServiceError` if it was cut off, or leads to another database."""
    last = b""
    with path.open("rb") as file:
        for number, begin in _beginnings(file):
            if ELSEWHERE.match(begin):
                raise ServiceError(
                    "leads_elsewhere",
                    gettext_noop(
                        "{path} is no backup of one site: its line {number} is about another "
                        "database. Nothing was restored."
                    ),
                    path=path,
                    number=number,
                )
            last = begin
    if not is_whole(last):
        raise ServiceError(
            "cut_off",
            gettext_noop("{path} is cut off: its end is missing. Nothing was restored."),
            path=path,
        )


def is_whole(last: bytes) -> bool:
    """Whether this is the last line of a whole dump."""
    return last.startswith(COMPLETE) and last.endswith(b"\n")


def skip_head(file: BinaryIO) -> None:
    """Moves an unbuffered file to where the statements begin."""
    begin = file.read(PIECE)
    start = len(HEAD_OF_SQL) if begin.startswith(HEAD_OF_SQL) else 0
    if found := OF_A_CLIENT.match(begin, start):
        start = found.end()
    file.seek(start)


def _beginnings(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The number of each line, and its first bytes; with its end if it is as short as that."""
    number, is_new = 0, True
    while piece := file.readline(PIECE):
        if is_new:
            number += 1
            yield number, piece
        is_new = piece.endswith(b"\n")
