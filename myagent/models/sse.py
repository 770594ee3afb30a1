"""Server-sent events: bytes in, the data of whole events out. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

from myagent import fast_json

MAX_EVENT_BYTES = 8 * 1024 * 1024
"""The longest event taken, in bytes."""

DONE = b"[DONE]"
"""The data of the last event; some servers send it without `data:`."""

_BOM = b"\xef\xbb\xbf"


class EventTooLongError(Exception):
    """An event is longer than `MAX_EVENT_BYTES`."""


class EventSplitter:
    """Splits a stream of bytes into events, wherever the pieces are cut.

    Lines end with LF, CR LF or CR. Only `data` fields matter; comments and ids are skipped, and so
    are names, except `error`: the data of such an event becomes the `error` of a JSON object.
    Bytes that start with `{` are plain JSON from a server that does not stream, and count as one
    event.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._is_json: bool | None = None
        self._is_after_cr = False
        self._is_error = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yields the data of each event that `piece` completes.

        To be exhausted before the next call. Raises `EventTooLongError`.
        """
        if self._is_json is None:
            piece = self._beginning(piece)
        self._rest += piece
        self._check_length()
        if self._is_json is not False or not (b"\n" in piece or b"\r" in piece):
            return
        for line in self._lines():
            if data := self._take(line):
                yield data

    def close(self) -> Iterator[bytes]:
        """Yields the data of a last event that no empty line has ended."""
        last = bytes(self._rest)
        self._rest.clear()
        if self._is_json:
            yield last
            return
        for line in (last, b""):
            if data := self._take(line):
                yield data

    def _beginning(self, piece: bytes) -> bytes:
        """The bytes to read, once the first ones tell the format: until then none."""
        begin = bytes(self._rest) + piece
        self._rest.clear()
        if _BOM.startswith(begin[: len(_BOM)]) and len(begin) < len(_BOM):
            self._rest += begin
            return b""
        begin = begin.removeprefix(_BOM)
        if first := begin.lstrip():
            self._is_json = first.startswith(b"{")
        if self._is_json:
            # Blanks that came in pieces before it are gone as well.
            return first
        return begin if self._is_json is not None else b""

    def _lines(self) -> list[bytes]:
        """The complete lines received; the rest after the last of them is kept."""
        received = bytes(self._rest)
        if self._is_after_cr:
            received = received.removeprefix(b"\n")
        self._is_after_cr = received.endswith(b"\r")
        if b"\r" in received:
            received = received.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = received.split(b"\n")
        self._rest = bytearray(rest)
        return lines

    def _take(self, line: bytes) -> bytes:
        """The event's data if this line ends one, else nothing."""
        if not line:
            data, self._data, self._data_bytes = b"\n".join(self._data).strip(), [], 0
            is_error, self._is_error = self._is_error, False
            return _as_error(data) if is_error and data != DONE else data
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            self._data_bytes += len(line)
            self._check_length()
        elif line.strip() == DONE:
            self._data.append(DONE)
        elif line.startswith(b"event:"):
            self._is_error = line[6:].strip() == b"error"
        return b""

    def _check_length(self) -> None:
        if len(self._rest) + self._data_bytes > MAX_EVENT_BYTES:
            raise EventTooLongError


def _as_error(data: bytes) -> bytes:
    if not data.startswith((b"{", b"[", b'"')):
        data = fast_json.dumps(data.decode("utf-8", "replace") or "error")
    return b'{"error":%b}' % data
