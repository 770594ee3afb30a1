"""Other pytest processes, run by the first one at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self, TextIO

import pytest

from tests.lanes import LANE_FDS, WANTS, Waiting

DATABASE_URL = "MYAGENT_TEST_DATABASE_URL"
"""Environment variable: the database server of a process's tests, where it is not SQLite."""

ROOT = Path(__file__).parent.parent


@dataclass
class Part:
    """What a process runs: `first`, then what waits, and is taken by others at the same time."""

    waiting: Waiting
    first: Sequence[pytest.Item] = ()
    label: str = ""
    url: str = ""
    reports: list[dict[str, Any]] = field(default_factory=list)
    output: str = ""
    status: int = pytest.ExitCode.OK

    def paths(self) -> list[Path]:
        """All files of which it may come to run tests."""
        return sorted({*self.waiting.paths, *(item.path for item in self.first)})

    def take(self) -> Sequence[pytest.Item]:
        first, self.first = self.first, ()
        return first or self.waiting.take()


class SideStream:
    """Runs a part from `__enter__` on; `wait` returns when it has ended.

    Reports are read as they come: a pipe that is full would stop the writer.
    """

    def __init__(self, part: Part, options: Sequence[str]) -> None:
        self._part = part
        self._options = options
        self._paths = part.paths()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        self._thread = threading.Thread(target=self._work, daemon=True)

    def wait(self) -> None:
        self._thread.join()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopped = True
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
        self._thread.join()

    def _work(self) -> None:
        if self._paths and not self._is_stopped:
            with tempfile.TemporaryDirectory() as folder:
                self._run(Path(folder))

    def _run(self, folder: Path) -> None:
        arguments, output = folder / "arguments", folder / "output"
        arguments.write_text("".join(f"{path}\n" for path in self._paths))
        reports, for_reports = os.pipe()
        files, for_files = os.pipe()
        with output.open("wb") as log:
            self._process = self._start(arguments, log, for_reports, files)
        os.close(for_reports)
        os.close(files)
        with os.fdopen(reports) as lines, os.fdopen(for_files, "w", buffering=1) as answers:
            self._serve(lines, answers)
        self._part.status = self._process.wait()
        self._part.output = output.read_text(errors="replace")

    def _start(
        self, arguments: Path, log: BinaryIO, reports: int, files: int
    ) -> subprocess.Popen[bytes]:
        environment = os.environ | {LANE_FDS: f"{reports} {files}"}
        if self._part.url:
            environment[DATABASE_URL] = self._part.url
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"@{arguments}"]
        return subprocess.Popen(
            [*command, *self._options],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[reports, files],
        )

    def _serve(self, lines: Iterable[str], answers: TextIO) -> None:
        """Until the process has closed its end."""
        for line in lines:
            data: dict[str, Any] = json.loads(line)
            if WANTS not in data:
                self._part.reports.append(data)
                continue
            names = [item.nodeid for item in self._part.take()]
            answers.write(json.dumps(names) + "\n")
