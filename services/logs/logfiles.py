"""The log files of instances: their places, their last lines, and following them.

`<VAR_DIR>/logs/<service_id>/<instance_id>.log` is the newest file; when it is full, older files are
moved to `.log.2` and so on, it is renamed `.log.1`, and a new one is created. All of them are read
as one stream. `<VAR_DIR>/logs/supervisor.log`, of a supervisor that a command started, is kept in
the same way. Lines are as the process wrote them: the code that shows them makes them harmless.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from django.conf import settings

ID = re.compile(r"[A-Za-z0-9-]{1,36}")

MAX_BYTES = 1 << 20
"""The most bytes that are read at once by default."""

MAX_LINE_BYTES = 1 << 16
"""Longer lines are returned in pieces."""

BLOCK_BYTES = 1 << 16


def folder_of(service_id: str) -> Path:
    """Raises `ValueError` for what can't be an id."""
    if not ID.fullmatch(service_id):
        raise ValueError("that is no id of a service")
    return Path(settings.VAR_DIR) / "logs" / service_id


def path_of(service_id: str, instance_id: str) -> Path:
    """The newest log file of an instance. Raises `ValueError` for what can't be an id."""
    if not ID.fullmatch(instance_id):
        raise ValueError("that is no id of an instance")
    return folder_of(service_id) / f"{instance_id}.log"


def path_of_supervisor() -> Path:
    """The newest log file of a supervisor that a command started."""
    return Path(settings.VAR_DIR) / "logs" / "supervisor.log"


def forget(service_id: str) -> None:
    """Removes all logs of a service. Raises `ValueError` for what can't be an id."""
    shutil.rmtree(folder_of(service_id), ignore_errors=True)


def append(path: Path, line: str) -> None:
    """Appends a line of ours to a process's log, if it has one. Raises `OSError`."""
    if path.exists():
        with path.open("ab") as file:
            file.write(f"{line}\n".encode())


def tail(path: Path, lines: int = 100, max_bytes: int = MAX_BYTES) -> list[str]:
    """The last lines, oldest first; none if there is no file.

    At most `lines`, and as many as fit in `max_bytes`; invalid UTF-8 is replaced. The time does not
    depend on the size of the log.
    """
    with Follower(path, lines, max_bytes) as follower:
        found = follower.read(max_bytes)
        return [*found, *follower.rest()][-lines:] if lines > 0 else []


class Follower:
    """A log from its last `lines` lines on, and everything appended later, across rotations.

    For one thread. The file need not exist yet.
    """

    def __init__(self, path: Path, lines: int = 0, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._partial = b""
        self._file = _begin(path, lines, max_bytes)

    def read(self, max_bytes: int = MAX_BYTES) -> list[str]:
        """The complete lines since the last call, as many as fit; empty when there is nothing."""
        data = bytearray(self._partial)
        left = max_bytes
        while left > 0:
            chunk = self._file.read(left) if self._file else b""
            data += chunk
            left -= len(chunk)
            if not chunk and not self._go_on():
                break
        return self._lines(bytes(data))

    def rest(self) -> list[str]:
        """The start of a line that is not complete yet."""
        partial, self._partial = self._partial, b""
        return [_text(partial)] if partial else []

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lines(self, data: bytes) -> list[str]:
        *complete, self._partial = data.split(b"\n")
        if len(self._partial) > MAX_LINE_BYTES:
            complete.append(self._partial)
            self._partial = b""
        return [_text(piece) for line in complete for piece in _pieces(line)]

    def _go_on(self) -> bool:
        """At the end of a file: whether there is more, in it or in its successor."""
        if self._file is None:
            files = _files(self._path)
            self._file = _opened(files[-1]) if files else None
            return self._file is not None
        here = os.fstat(self._file.fileno())
        if here.st_size < self._file.tell():
            return self._after_emptying(here.st_size)
        following = self._following(here)
        if following is None:
            return False
        # Its process may have written to the file until it was renamed.
        if os.fstat(self._file.fileno()).st_size > self._file.tell():
            following.close()
            return True
        self._file.close()
        self._file = following
        return True

    def _after_emptying(self, size: int) -> bool:
        """The file's content is now in the next older file, whose unread part is read first."""
        assert self._file is not None
        place = self._file.tell()
        older = _opened(self._path.with_name(f"{self._path.name}.1"))
        if older is not None and os.fstat(older.fileno()).st_size > place:
            older.seek(place)
            self._file.close()
            self._file = older
            return True
        if older is not None:
            older.close()
        self._file.seek(0)
        return size > 0

    def _following(self, here: os.stat_result) -> BinaryIO | None:
        files = _files(self._path)
        place = next((n for n, file in enumerate(files) if _is(file, here)), len(files))
        if place == 0 or not files:
            return None
        found = _opened(files[place - 1])
        has_moved = place < len(files) and not _is(files[place], here)
        if found is not None and has_moved:
            found.close()  # A rotation happened meanwhile: try again next time.
            return None
        return found


def _begin(path: Path, lines: int, max_bytes: int) -> BinaryIO | None:
    """The file that contains the first of the last lines, and its place; else the newest's end."""
    chosen: BinaryIO | None = None
    wanted, left, seen = lines, max_bytes, set[tuple[int, int]]()
    for name in _files(path):
        file = _opened(name)
        if file is None:
            continue
        status = os.fstat(file.fileno())
        if (status.st_dev, status.st_ino) in seen:
            file.close()  # It has just been renamed.
            continue
        seen.add((status.st_dev, status.st_ino))
        if chosen is not None:
            chosen.close()
        else:
            wanted += _ends_with_newline(file, status.st_size)
        chosen = file
        wanted, left = _back(file, status.st_size, wanted, left)
        if wanted <= 0 or left <= 0:
            break
    return chosen


def _back(file: BinaryIO, end: int, wanted: int, left: int) -> tuple[int, int]:
    """Goes back from `end` past that many newlines; returns the remaining newlines and bytes."""
    place = end
    while place > 0 and wanted > 0 and left > 0:
        size = min(BLOCK_BYTES, place, left)
        file.seek(place - size)
        block = file.read(size)
        if (count := block.count(b"\n")) >= wanted:
            at = len(block)
            for _ in range(wanted):
                at = block.rindex(b"\n", 0, at)
            file.seek(place - size + at + 1)
            return 0, left
        place, wanted, left = place - size, wanted - count, left - size
    file.seek(place)
    if left <= 0:
        file.readline(MAX_LINE_BYTES)  # The limit cuts this line.
    return wanted, left


def _ends_with_newline(file: BinaryIO, size: int) -> bool:
    if not size:
        return True
    file.seek(size - 1)
    return file.read(1) == b"\n"


def _files(path: Path) -> list[Path]:
    """The log's files, the newest first."""
    numbered = [
        (int(number), file)
        for file in path.parent.glob(f"{path.name}.*")
        if (number := file.name.removeprefix(f"{path.name}.")).isdecimal()
    ]
    newest = [path] if path.exists() else []
    return newest + [file for _, file in sorted(numbered)]


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _is(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), status)
    except FileNotFoundError:
        return False


def _pieces(line: bytes) -> Iterator[bytes]:
    for start in range(0, max(1, len(line)), MAX_LINE_BYTES):
        yield line[start : start + MAX_LINE_BYTES]


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").removesuffix("\r")
