"""Limits the head of a request: its first line and its headers. No I/O."""

from __future__ import annotations

from typing import NoReturn

MOST_LINE = 16 * 1024
"""Bytes of the address, and of each header."""

MOST_HEAD = 64 * 1024
"""Bytes of the address and all headers."""

MOST_HEADERS = 100

URI_TOO_LONG = 414
HEADERS_TOO_LARGE = 431


class TooLarge(Exception):
    """The request's head is too large."""


class Head:
    """Counts what a parser has found of one request. Each method raises `TooLarge`.

    `refusal`: the status of that error, since a parser does not pass the exception on.

    A parser does not report a header until it is complete, so data that it was fed without a result
    counts as one line. Headers after a body count as well.
    """

    __slots__ = ("_address", "_fed", "_headers", "_size", "refusal")

    def __init__(self) -> None:
        self.refusal = 0
        self._address = 0
        self._size = 0
        self._headers = 0
        self._fed = 0

    def feed(self, size: int) -> None:
        """This many bytes are about to be given to the parser."""
        self._fed += size

    def check(self) -> None:
        """Called when the parser has processed what it was fed."""
        if self._fed > MOST_LINE:
            self._refuse(HEADERS_TOO_LARGE)

    def progress(self) -> None:
        """The parser has found something."""
        self._fed = 0

    def add_address(self, size: int) -> None:
        """A part of the address."""
        self._fed = 0
        self._address += size
        self._size += size
        if self._address > MOST_LINE:
            self._refuse(URI_TOO_LONG)

    def add_header(self, size: int) -> None:
        """`size`: of the header's name and value."""
        self._fed = 0
        self._headers += 1
        self._size += size
        if size > MOST_LINE or self._headers > MOST_HEADERS or self._size > MOST_HEAD:
            self._refuse(HEADERS_TOO_LARGE)

    def _refuse(self, status: int) -> NoReturn:
        self.refusal = status
        raise TooLarge
