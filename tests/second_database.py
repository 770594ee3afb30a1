"""Runs the tests marked `both_databases` once more, on MariaDB, beside the same pytest session.

Django's settings hold for a process, so a second pytest process runs them, with its database
named in its environment, and sends its reports here: one list of failures, one closing line.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, Self, TextIO

import pytest

from tests.servers import MariaDB

DATABASE_URL = "MYAGENT_TEST_DATABASE_URL"
REPORTS_FD = "MYAGENT_TEST_REPORTS_FD"
LABEL = "[mariadb]"


def is_available() -> bool:
    return MariaDB.is_installed() and importlib.util.find_spec("MySQLdb") is not None


class ReportSender:
    """In the second process: each test's reports, a line of JSON each, to the first one."""

    def __init__(self, config: pytest.Config, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._config = config
        self._pipe: TextIO = os.fdopen(fd, "w", buffering=1)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._pipe.write(json.dumps(data, default=str) + "\n")

    def pytest_unconfigure(self) -> None:
        self._pipe.close()


class SecondProcess:
    """The second pytest. Its reports are read as they come: a pipe that is full would stop it."""

    def __init__(self, arguments: list[str], url: str, output: Path) -> None:
        reading, writing = os.pipe()
        self._output = output
        with output.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
                cwd=Path(__file__).parent.parent,
                env=os.environ | {DATABASE_URL: url, REPORTS_FD: str(writing)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[writing],
            )
        os.close(writing)
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, args=[reading], daemon=True)
        self._reader.start()

    def lines(self) -> list[str]:
        """All its reports, once it has ended."""
        self._reader.join()
        return self._lines

    @property
    def status(self) -> int:
        return self._process.wait()

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()
        self._reader.join()

    def _read(self, fd: int) -> None:
        with os.fdopen(fd) as pipe:
            self._lines.extend(pipe)


class SecondRun:
    """In the first process: runs the second beside its own tests, then reports its reports."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        items = [item for item in session.items if item.get_closest_marker("both_databases")]
        if not items or session.config.option.collectonly:
            return (yield)
        session.testscollected += len(items)
        if not is_available():
            result = yield
            self._report_as_skipped(items)
            return result
        with MariaDB() as server, tempfile.TemporaryDirectory() as folder:
            arguments = Path(folder, "arguments")
            arguments.write_text("".join(f"{item.nodeid}\n" for item in items))
            command = [f"@{arguments}", f"--maxfail={session.config.option.maxfail or 0}"]
            second = SecondProcess(command, server.url("myagent"), Path(folder, "output"))
            with second:
                result = yield
                self._report(session, second)
        return result

    def _report(self, session: pytest.Session, second: SecondProcess) -> None:
        for report in self._reports(second.lines()):
            self._config.hook.pytest_runtest_logreport(report=report)
        if second.status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            self._write(f"\n{second.output}")
            session.shouldfail = f"the tests on MariaDB could not be run (status {second.status})"
            raise session.Failed(session.shouldfail)

    def _reports(self, lines: Iterable[str]) -> Iterator[pytest.TestReport]:
        for line in lines:
            data: dict[str, Any] = json.loads(line)
            path, number, name = data["location"]
            data["location"] = (path, number, f"{name} {LABEL}")
            data["nodeid"] = f"{data['nodeid']} {LABEL}"
            yield self._config.hook.pytest_report_from_serializable(config=self._config, data=data)

    def _report_as_skipped(self, items: list[pytest.Item]) -> None:
        for item in items:
            path, number, name = item.location
            report = pytest.TestReport(
                nodeid=f"{item.nodeid} {LABEL}",
                location=(path, number, f"{name} {LABEL}"),
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
