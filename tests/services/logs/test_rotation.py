"""Logs are kept bounded: by the process that writes, or for one that only writes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agents.runtime.limits import Seldom
from services.logs import rotation
from services.logs.logfiles import Follower, tail
from services.logs.rotation import empty_if_large, keep_bounded_for_others

WRITER = """
import os, sys
from pathlib import Path
from services.logs.rotation import rotate_if_large

path, kept, answers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for line in sys.stdin:
    if line == "rotate\\n":
        answer = b"y" if rotate_if_large(path, 10, kept) else b"n"
    else:
        answer = b"."
        print(line, end="", flush=True)
        print(line, end="", file=sys.stderr, flush=True)
    os.write(answers, answer)
"""


class Writer:
    """A process that writes each line to its output and its errors."""

    def __init__(self, process: subprocess.Popen[str], answers: int) -> None:
        self._process = process
        self._answers = answers

    def write(self, line: str) -> None:
        assert self._do(line) == b"."

    def rotate(self) -> bool:
        return self._do("rotate") == b"y"

    def _do(self, line: str) -> bytes:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return os.read(self._answers, 1)


@contextmanager
def writing(path: Path, kept: int, output: Path | None = None) -> Iterator[Writer]:
    """`output`: where it writes to, if that is not the log."""
    reading, answering = os.pipe()
    with (
        open(output or path, "ab") as log,
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(kept), str(answering)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
            pass_fds=[answering],
        ) as process,
    ):
        os.close(answering)
        try:
            yield Writer(process, reading)
        finally:
            os.close(reading)


APPENDER = """
import os, sys
for line in sys.stdin:
    os.write(1, line.encode())
    os.write(int(sys.argv[1]), b".")
"""


@contextmanager
def appending(path: Path) -> Iterator[Callable[[str], None]]:
    """A process that knows nothing of its log: what it is given, it has written."""
    reading, answering = os.pipe()
    with (
        open(path, "ab") as log,
        subprocess.Popen(
            [sys.executable, "-c", APPENDER, str(answering)],
            stdin=subprocess.PIPE,
            stdout=log,
            text=True,
            pass_fds=[answering],
        ) as process,
    ):
        os.close(answering)
        assert process.stdin is not None

        def write(line: str) -> None:
            print(line, file=process.stdin, flush=True)
            assert os.read(reading, 1) == b"."

        try:
            yield write
        finally:
            os.close(reading)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one.log"


def test_a_full_log_is_rotated_and_so_many_are_kept(path: Path) -> None:
    with writing(path, kept=2) as writer:
        writer.write("abc")
        assert not writer.rotate()
        for line in ("first", "second", "third"):
            writer.write(line)
            assert writer.rotate()
        writer.write("last")
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "one.log",
        "one.log.1",
        "one.log.2",
    ]
    assert tail(path) == ["second", "second", "third", "third", "last", "last"]


def test_none_may_be_kept(path: Path) -> None:
    with writing(path, kept=0) as writer:
        writer.write("first")
        assert writer.rotate()
        writer.write("last")
    assert tail(path) == ["last", "last"]
    assert list(path.parent.iterdir()) == [path]


def test_a_process_that_writes_elsewhere_leaves_the_log_alone(path: Path) -> None:
    path.write_text("somebody else's words\n")
    with writing(path, kept=2, output=path.with_name("other")) as writer:
        writer.write("much more than fits")
        assert not writer.rotate()
    assert list(path.parent.glob("one.log*")) == [path]


def test_one_that_shares_the_log_follows_whoever_rotated_it(path: Path) -> None:
    with writing(path, kept=2) as one, writing(path, kept=2) as other:
        one.write("before")
        assert one.rotate()
        assert other.rotate()
        other.write("after")
    assert path.read_text() == "after\nafter\n"
    assert path.with_name("one.log.1").read_text() == "before\nbefore\n"
    assert not path.with_name("one.log.2").exists()


def test_the_full_log_of_a_process_that_only_writes_is_emptied_into_older_ones(path: Path) -> None:
    with appending(path) as write:
        write("short")
        assert not empty_if_large(path, 10, 2)
        for line in ("first", "second", "third"):
            write(f"the {line} line")
            assert empty_if_large(path, 10, 2)
        write("last")
    assert tail(path) == ["the second line", "the third line", "last"]
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "one.log",
        "one.log.1",
        "one.log.2",
    ]
    assert [file.stat().st_mode & 0o077 for file in path.parent.glob("one.log.*")] == [0, 0]


def test_of_a_process_that_only_writes_none_may_be_kept(path: Path) -> None:
    with appending(path) as write:
        write("the first line")
        assert empty_if_large(path, 10, 0)
        write("last")
    assert tail(path) == ["last"]
    assert list(path.parent.iterdir()) == [path]


def test_who_follows_such_a_log_misses_no_line(path: Path) -> None:
    with appending(path) as write, Follower(path) as follower:
        write("read before")
        assert follower.read() == ["read before"]
        write("unread")
        assert empty_if_large(path, 10, 2)
        write("after")
        assert follower.read() == ["unread", "after"]
        assert empty_if_large(path, 1, 2)
        write("last")
        assert follower.read() == ["last"]


def test_a_log_that_went_with_its_service_is_none_to_empty(path: Path) -> None:
    assert not empty_if_large(path, 10, 2)


def test_what_is_printed_much_faster_than_anybody_looks_is_kept_in_bounds(tmp_path: Path) -> None:
    path, max_bytes, kept = tmp_path / "log", 1_000_000, 3
    lines = 300_000
    path.write_text("".join(f"line {number:07}\n" for number in range(lines)))
    assert empty_if_large(path, max_bytes, kept)
    files = [tmp_path / f"log.{number}" for number in (3, 2, 1)]
    assert sorted(tmp_path.iterdir()) == sorted([path, *files])
    assert path.stat().st_size == 0
    assert all(file.stat().st_size <= 1.1 * max_bytes for file in files)
    held = "".join(file.read_text() for file in files).splitlines()
    first = int(held[0].split()[1])
    assert held == [f"line {number:07}" for number in range(first, lines)]
    assert sum(file.stat().st_size for file in files) >= (kept - 1) * max_bytes


def test_a_log_that_its_process_empties_meanwhile_ends_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, moves = tmp_path / "log", list[int]()
    path.write_text("a line\n" * 100_000)
    move = rotation._move_piece

    def move_and_empty(log: Any, path: Path, kept: int, length: int) -> None:
        move(log, path, kept, length)
        os.truncate(path, 0)
        moves.append(length)
        assert len(moves) < 10, "the copy goes on and on"

    monkeypatch.setattr(rotation, "_move_piece", move_and_empty)
    assert empty_if_large(path, 100_000, 5)
    assert len(moves) == 1
    assert (tmp_path / "log.1").stat().st_size >= 100_000


def test_of_a_last_line_longer_than_all_that_is_kept_the_end_is_kept(path: Path) -> None:
    path.write_text("first\n" + "x" * 50 + "end\n")
    assert empty_if_large(path, 10, 2)
    assert tail(path) == ["x" * 16 + "end"]


class FullDisk:
    """The disk of a folder that takes so many bytes beside the log itself."""

    def __init__(self, path: Path, room: int) -> None:
        self._path = path
        self.room = room

    def copied(self, log: Any, file: Any, most: int) -> None:
        while most > 0 and (part := log.read(min(1000, most))):
            used = sum(one.stat().st_size for one in self._path.parent.iterdir())
            if used - self._path.stat().st_size + len(part) > self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            file.write(part)
            file.flush()
            most -= len(part)


@pytest.fixture
def lines_of_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test may write its own."""
    monkeypatch.setattr(rotation, "_failures", Seldom(at_once=1))
    monkeypatch.setattr(rotation, "_losses", Seldom(at_once=1))


@pytest.mark.usefixtures("lines_of_failures")
async def test_one_that_cannot_be_rotated_leaves_the_others_bounded(
    path: Path, settings: Any
) -> None:
    settings.MYAGENT_LOG_BYTES, settings.MYAGENT_LOG_FILES = 10, 2
    other = path.with_name("other.log")
    for log in (path, other):
        log.write_text("more than fits\n")
    path.with_name("one.log.copy").mkdir()
    with capture_logs() as said:
        for _ in range(3):
            await keep_bounded_for_others(lambda: [path, other])
    assert other.read_text() == ""
    assert tail(other) == ["more than fits"]
    assert [(line["event"], line["path"]) for line in said] == [("log_not_rotated", str(path))]


@pytest.mark.usefixtures("lines_of_failures")
@pytest.mark.parametrize(
    ("room", "held"),
    [
        (7_000, {"one.log.1": "new", "one.log.2": "2", "one.log.3": "3"}),
        (5_000, {"one.log.1": "new", "one.log.2": "2"}),
        (3_000, {"one.log.1": "new"}),
        (1_000, {}),
    ],
)
def test_on_a_full_disk_older_output_makes_room_and_the_log_is_emptied_in_any_case(
    path: Path, monkeypatch: pytest.MonkeyPatch, room: int, held: dict[str, str]
) -> None:
    path.write_text("new\n" * 750)
    for number in (1, 2, 3):
        path.with_name(f"one.log.{number}").write_text(f"{number + 1}\n" * 1000)
    monkeypatch.setattr(rotation, "_copied", FullDisk(path, room).copied)
    with capture_logs() as said:
        assert empty_if_large(path, 3000, 3)
    assert path.read_text() == ""
    others = {file for file in path.parent.iterdir() if file != path}
    assert {file.name: file.read_text().split("\n")[0] for file in others} == held
    assert [line["event"] for line in said] == ([] if held else ["log_lost"])


def test_what_filled_the_disk_is_kept_in_order_as_far_as_it_fits(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"line {number:04}" for number in range(40_000)]
    path.write_text("".join(f"{line}\n" for line in lines))
    monkeypatch.setattr(rotation, "_copied", FullDisk(path, 250_000).copied)
    assert empty_if_large(path, 100_000, 4)
    files = [path.with_name(f"one.log.{number}") for number in (3, 2, 1)]
    kept = [line for file in files if file.exists() for line in file.read_text().splitlines()]
    assert len(kept) > 10_000
    assert kept == lines[-len(kept) :]
