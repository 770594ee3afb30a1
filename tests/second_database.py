"""Runs tests beside the first pytest process: those marked `both_databases` on MariaDB, or on
MySQL (see `tests.mysql_server`), and those of real processes and browsers, so that two cores have
something to do: tests wait a lot.

Django's settings hold for a process, so other pytest processes run them, and send their reports to
the first: one list of failures, one closing line.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain

import pytest

from tests.lanes import Waiting, run
from tests.mysql_server import database_server
from tests.ordering import Cost, cost_of
from tests.servers import MariaDB
from tests.side_streams import Part, SideStream

BESIDE = 3
"""Processes for tests of real processes. They wait most of the time."""

BESIDE_AGAIN = 2
"""The same on MariaDB; the first of them begins with the tests that start no processes."""


def is_available() -> bool:
    return database_server().is_installed() and importlib.util.find_spec("MySQLdb") is not None


def runs_again(item: pytest.Item, *, is_long: bool) -> bool:
    """Whether it is marked so; `when_long`: only if all is to run."""
    marker = item.get_closest_marker("both_databases")
    return marker is not None and (is_long or not marker.kwargs.get("when_long", False))


class SecondRun:
    """In the first process: keeps the side streams, and reports their reports at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        is_long = session.config.getoption("--long")
        again = [item for item in session.items if runs_again(item, is_long=is_long)]
        if session.config.option.collectonly or session.testsfailed:
            return None
        session.testscollected += len(again)
        if not is_available():
            self._report_as_skipped(again)
            return None
        with database_server()() as server:
            here, parts = _divided(session.items, again, server)
            with ExitStack() as stack:
                options = self._options()
                streams = [stack.enter_context(SideStream(part, options)) for part in parts]
                run(session, here)
                for stream in streams:
                    stream.wait()
            for part in parts:
                self._report(session, part)
        return True

    def _options(self) -> list[str]:
        """What the other processes are to be told of this one's arguments."""
        options = [f"--maxfail={self._config.option.maxfail or 0}"]
        return options + (["--long"] if self._config.getoption("--long") else [])

    def _report(self, session: pytest.Session, part: Part) -> None:
        for report in self._reports(part):
            self._config.hook.pytest_runtest_logreport(report=report)
        if part.status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            self._write(f"\n{part.output}")
            session.shouldfail = f"tests beside the others could not be run (status {part.status})"
            raise session.Failed(session.shouldfail)

    def _reports(self, part: Part) -> Iterator[pytest.TestReport]:
        for data in part.reports:
            path, number, name = data["location"]
            data["location"] = (path, number, f"{name}{part.label}")
            data["nodeid"] = f"{data['nodeid']}{part.label}"
            if isinstance(data["longrepr"], list):
                # Why a test was skipped: JSON has no tuples.
                data["longrepr"] = tuple(data["longrepr"])
            yield self._config.hook.pytest_report_from_serializable(config=self._config, data=data)

    def _report_as_skipped(self, items: list[pytest.Item]) -> None:
        for item in items:
            path, number, name = item.location
            report = pytest.TestReport(
                nodeid=f"{item.nodeid} [{MariaDB.label}]",
                location=(path, number, f"{name} [{MariaDB.label}]"),
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


def _divided(
    items: Sequence[pytest.Item], again: Sequence[pytest.Item], server: MariaDB
) -> tuple[Iterator[list[pytest.Item]], list[Part]]:
    """What this process runs, file by file, and what others do at the same time."""
    quick, slow = _by_cost(items)
    quick_again, slow_again = _by_cost(again)
    waiting, waiting_again = Waiting(slow), Waiting(slow_again)
    label = f" [{server.label}]"
    parts = [Part(waiting_again, quick_again, label, server.url("myagent_0"))]
    for number in range(1, min(BESIDE_AGAIN, len(waiting_again.paths))):
        parts.append(Part(waiting_again, [], label, server.url(f"myagent_{number}")))
    if quick:  # Else there is nothing that the others could run beside.
        parts += [Part(waiting) for _ in range(min(BESIDE, len(waiting.paths)))]
    return chain([quick], waiting), parts


def _by_cost(items: Sequence[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Those that start no processes, and those that do."""
    slow = [item for item in items if cost_of(item) is Cost.PROCESSES]
    return [item for item in items if cost_of(item) is not Cost.PROCESSES], slow
