"""Runs tests beside the first pytest process: those marked `both_databases` on MariaDB, and
those of real processes and browsers, so that two cores have something to do: tests wait a lot.

Django's settings hold for a process, so other pytest processes run them, and send their reports to
the first: one list of failures, one closing line.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO

import pytest

from tests.servers import MariaDB

DATABASE_URL = "MYAGENT_TEST_DATABASE_URL"
REPORTS_FD = "MYAGENT_TEST_REPORTS_FD"
LABEL = " [mariadb]"
ASIDE = (
    {"attacks", "browser", "crash"},
    {
        *("test_supervision.py", "test_embedded_supervision.py", "test_services_commands.py"),
        *("test_manager.py", "test_doors.py", "test_rest_schema.py"),
    },
    {
        *("test_many_services.py", "test_one_worker.py", "test_own_ports.py", "test_leaving.py"),
        *("test_service_log.py", "test_terminal_language.py", "test_blocking_agent.py", "bench"),
        *("test_served.py", "test_sides.py", "test_far_workers.py", "test_external.py"),
    },
)
"""Folders and files of tests that run beside the others, each set in a process, and not once more.

They are chosen so that all end at about the same time.
"""

AGAIN_ASIDE = ({"test_supervision.py", "crash"},)
"""The same, of those that run once more on MariaDB."""

ROOT = Path(__file__).parent.parent


def is_available() -> bool:
    return MariaDB.is_installed() and importlib.util.find_spec("MySQLdb") is not None


def _divided(items: Iterable[pytest.Item], asides: Sequence[Set[str]]) -> list[list[pytest.Item]]:
    """Those of no set, then those of each."""
    divided: list[list[pytest.Item]] = [[] for _ in range(1 + len(asides))]
    for item in items:
        places = (n for n, names in enumerate(asides, 1) if not names.isdisjoint(item.path.parts))
        divided[next(places, 0)].append(item)
    return divided


class ReportSender:
    """In another process: each test's reports, a line of JSON each, to the first one."""

    def __init__(self, config: pytest.Config, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._config = config
        self._pipe: TextIO = os.fdopen(fd, "w", buffering=1)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._pipe.write(json.dumps(data, default=str) + "\n")

    def pytest_unconfigure(self) -> None:
        self._pipe.close()


@dataclass
class Part:
    """Tests for one process. `url`: of the database server, where it is not SQLite."""

    items: Sequence[pytest.Item]
    label: str = ""
    url: str = ""
    lines: list[str] = field(default_factory=list)
    output: str = ""
    status: int = pytest.ExitCode.OK


class SideStream:
    """Runs a part from `__enter__` on; `wait` returns when it has ended.

    Reports are read as they come: a pipe that is full would stop the writer.
    """

    def __init__(self, part: Part, options: Sequence[str]) -> None:
        self._part = part
        self._options = options
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
        if self._part.items and not self._is_stopped:
            with tempfile.TemporaryDirectory() as folder:
                self._run(self._part, Path(folder))

    def _run(self, part: Part, folder: Path) -> None:
        arguments, output = folder / "arguments", folder / "output"
        arguments.write_text("".join(f"{item.nodeid}\n" for item in part.items))
        reading, writing = os.pipe()
        environment = os.environ | {REPORTS_FD: str(writing)}
        if part.url:
            environment[DATABASE_URL] = part.url
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"@{arguments}"]
        with output.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *self._options],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[writing],
            )
        os.close(writing)
        with os.fdopen(reading) as pipe:
            part.lines.extend(pipe)
        part.status = self._process.wait()
        part.output = output.read_text(errors="replace")


class SecondRun:
    """In the first process: keeps the side streams, and reports their reports at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        again = [item for item in session.items if item.get_closest_marker("both_databases")]
        if session.config.option.collectonly:
            return (yield)
        session.testscollected += len(again)
        if not is_available():
            result = yield
            self._report_as_skipped(again)
            return result
        here, *asides = _divided(session.items, ASIDE)
        if here:  # Else there is nothing that they could run beside.
            session.items[:] = here
        else:
            asides = []
        with MariaDB() as server:
            parts = [
                Part(some, LABEL, server.url(f"myagent_{number}"))
                for number, some in enumerate(_divided(again, AGAIN_ASIDE))
            ]
            parts += map(Part, asides)
            options = [f"--maxfail={session.config.option.maxfail or 0}"]
            options += ["--long"] if session.config.getoption("--long") else []
            with ExitStack() as stack:
                streams = [stack.enter_context(SideStream(part, options)) for part in parts]
                result = yield
                for stream in streams:
                    stream.wait()
            for part in parts:
                self._report(session, part)
        return result

    def _report(self, session: pytest.Session, part: Part) -> None:
        for report in self._reports(part):
            self._config.hook.pytest_runtest_logreport(report=report)
        if part.status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            self._write(f"\n{part.output}")
            session.shouldfail = f"tests beside the others could not be run (status {part.status})"
            raise session.Failed(session.shouldfail)

    def _reports(self, part: Part) -> Iterator[pytest.TestReport]:
        for line in part.lines:
            data: dict[str, Any] = json.loads(line)
            path, number, name = data["location"]
            data["location"] = (path, number, f"{name}{part.label}")
            data["nodeid"] = f"{data['nodeid']}{part.label}"
            yield self._config.hook.pytest_report_from_serializable(config=self._config, data=data)

    def _report_as_skipped(self, items: list[pytest.Item]) -> None:
        for item in items:
            path, number, name = item.location
            report = pytest.TestReport(
                nodeid=f"{item.nodeid}{LABEL}",
                location=(path, number, f"{name}{LABEL}"),
                keywords={},
                outcome="skipped",
                longrepr=(path, number or 0, "Skipped: MariaDB or mysqlclient is not installed"),
                when="setup",
            )
            self._config.hook.pytest_runtest_logreport(report=report)

    def _write(self, text: str) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(text)
