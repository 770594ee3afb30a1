"""The writer of an SQLite file is named if somebody waited for it in vain."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from agents.runtime import file_locks

WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode=WAL")
database.execute("CREATE TABLE t (x)")
database.execute("BEGIN IMMEDIATE")
print("begun", flush=True)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(not file_locks.LOCKS.exists(), reason="Linux tells, others don't")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "site.db"


@pytest.fixture
def writer(file: Path) -> Iterator[subprocess.Popen[str]]:
    """A process within a transaction."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process
        process.kill()


def test_the_process_that_holds_the_lock_is_named_and_if_it_is_frozen(
    writer: subprocess.Popen[str], file: Path
) -> None:
    told = file_locks.tell_writer_of(file)
    assert told.startswith(f"Process {writer.pid} (")
    assert told.endswith(") holds the lock.")
    writer.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, writer.pid, os.WSTOPPED)
    assert psutil.Process(writer.pid).status() == psutil.STATUS_STOPPED
    assert f"is frozen (SIGSTOP): let it go on (kill -CONT {writer.pid})" in (
        file_locks.tell_writer_of(file)
    )


def test_where_nobody_writes_nobody_is_named(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE t (x)")
        database.execute("SELECT * FROM t").fetchall()
        assert file_locks.tell_writer_of(file) == ""


@pytest.mark.parametrize(
    ("line", "pid"),
    [
        ("1: POSIX  ADVISORY  WRITE 77 fe:00:5 120 120", 77),
        ("1: POSIX  ADVISORY  WRITE 77 fe:00:5 0 EOF", 77),
        ("1: POSIX  ADVISORY  WRITE 77 fe:00:6 120 120", None),
        ("1: POSIX  ADVISORY  WRITE 77 fe:00:5 121 122", None),
        ("1: POSIX  ADVISORY  READ  77 fe:00:5 120 120", None),
        ("1: -> POSIX  ADVISORY  WRITE 77 fe:00:5 120 120", None),
        ("1: POSIX  ADVISORY  WRITE 0 fe:00:5 120 120", None),
        ("1: OFDLCK ADVISORY  WRITE -1 fe:00:5 120 120", None),
        ("", None),
    ],
)
def test_of_all_locks_that_of_the_writer_counts(line: str, pid: int | None) -> None:
    assert file_locks.holder([line], 5) == pid
