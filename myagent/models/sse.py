"""Server-sent events: bytes in, the data of whole events out. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

MAX_EVENT_BYTES = 8 * 1024 * 1024
"""The longest event taken, in bytes."""


class EventTooLongError(Exception):
    """An event is longer than `MAX_EVENT_BYTES`."""


class EventSplitter:
    """Splits a stream of bytes into events, wherever its pieces were cut.

    Only `data` fields matter here; comments, names and ids are passed over.
    Bytes that begin with `{` are no events but JSON, from a server that does
    not stream, and count as one event.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._is_json: bool | None = None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yields the data of each event that `piece` completes.

        To be exhausted before the next call. Raises `EventTooLongError`.
        """
        if self._is_json is None and (begin := piece.lstrip()):
            self._is_json = begin.startswith(b"{")
        self._rest += piece
        self._check_length()
        if self._is_json or b"\n" not in piece:
            return
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            if data := self._take(line.removesuffix(b"\r")):
                yield data

    def close(self) -> Iterator[bytes]:
        """Yields the data of a last event that no empty line has ended."""
        last = bytes(self._rest)
        self._rest.clear()
        if self._is_json:
            yield last
            return
        self._take(last.removesuffix(b"\r"))
        if data := self._take(b""):
            yield data

    def _take(self, line: bytes) -> bytes:
        """The event's data if this line ends one, else nothing."""
        if not line:
            data, self._data, self._data_bytes = b"\n".join(self._data), [], 0
            return data
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            self._data_bytes += len(line)
            self._check_length()
        return b""

    def _check_length(self) -> None:
        if len(self._rest) + self._data_bytes > MAX_EVENT_BYTES:
            raise EventTooLongError
