"""Runs the tests marked `both_databases` once more, on MariaDB, inside the same pytest session.

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
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, TextIO

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


class SecondRun:
    """In the first process: starts the second after its own tests, and reports its reports."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        items = [item for item in session.items if item.get_closest_marker("both_databases")]
        if not items or session.config.option.collectonly:
            return (yield)
        session.testscollected += len(items)
        result = yield
        if is_available():
            self._run(session, items)
        else:
            self._report_as_skipped(items)
        return result

    def _run(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        with MariaDB() as server, tempfile.TemporaryDirectory() as folder:
            output = Path(folder, "output")
            arguments = Path(folder, "arguments")
            arguments.write_text("".join(f"{item.nodeid}\n" for item in items))
            command = [f"@{arguments}", f"--maxfail={session.config.option.maxfail or 0}"]
            with output.open("wb") as log:
                status = self._report_all(command, server.url("myagent"), log.fileno())
            if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
                self._write(f"\n{output.read_text(errors='replace')}")
                session.shouldfail = f"the tests on MariaDB could not be run (status {status})"
                raise session.Failed(session.shouldfail)

    def _report_all(self, arguments: list[str], url: str, log: int) -> int:
        reading, writing = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
            cwd=self._config.rootpath,
            env=os.environ | {DATABASE_URL: url, REPORTS_FD: str(writing)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[writing],
        )
        os.close(writing)
        try:
            with os.fdopen(reading) as lines:
                for report in self._reports(lines):
                    self._config.hook.pytest_runtest_logreport(report=report)
            return process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()

    def _reports(self, lines: TextIO) -> Iterator[pytest.TestReport]:
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
