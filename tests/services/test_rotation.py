"""A process rotates the log that it writes to, and no other; nothing that it writes is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.logfiles import tail

WRITER = """
import os, sys
from pathlib import Path
from services.rotation import rotate_if_large

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
