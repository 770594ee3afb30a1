"""A process that runs tests takes the next file of them when it is done with one, so that all
processes end at about the same time, whatever the tests take on this machine.

The first process keeps the files that wait; the others ask for them, and send their reports.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, TextIO

import pytest

LANE_FDS = "MYAGENT_TEST_LANE_FDS"
"""Environment variable: where another process's reports go, and where its files come from."""

WANTS = "wants"
"""A line to the first process has this instead of a report: its answer are the next items."""

LONG = (
    *("crash/test_kill.py", "acceptance/test_supervision.py", "crash/test_migrations.py"),
    *("browser/test_restart.py", "browser/test_admin.py", "browser/test_console.py"),
    *("acceptance/test_many_services.py", "acceptance/test_services_commands.py"),
    *("acceptance/test_rest_schema.py", "acceptance/test_manager.py", "acceptance/test_doctor.py"),
)
"""Files of tests that take longest: nobody should begin one when the others are about to end."""


class Waiting:
    """Tests that wait for a process, whole files at a time. Any thread may take some."""

    def __init__(self, items: Iterable[pytest.Item]) -> None:
        files = [list(some) for _, some in groupby(items, attrgetter("path"))]
        files.sort(key=lambda some: _turn(some[0]))
        self.paths = [some[0].path for some in files]
        self._files = deque(files)

    def take(self) -> list[pytest.Item]:
        """The items of a file; none when no file waits any more."""
        try:
            return self._files.popleft()
        except IndexError:
            return []

    def __iter__(self) -> Iterator[list[pytest.Item]]:
        return iter(self.take, [])


def _turn(item: pytest.Item) -> int:
    place = "/".join(item.path.parts[-2:])
    return LONG.index(place) if place in LONG else len(LONG)


def run(session: pytest.Session, files: Iterable[Sequence[pytest.Item]]) -> None:
    """pytest's own loop, over files that are asked for one test before they are needed."""
    items = chain.from_iterable(files)
    item = next(items, None)
    while item is not None:
        following = next(items, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following


class Lane:
    """In another process: asks the first one for tests, and sends it a line of JSON a report."""

    def __init__(self, config: pytest.Config, reports_fd: int, files_fd: int) -> None:
        for fd in (reports_fd, files_fd):
            os.set_inheritable(fd, False)
        self._config = config
        self._reports: TextIO = os.fdopen(reports_fd, "w", buffering=1)
        self._files: TextIO = os.fdopen(files_fd)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._send(
            self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("these tests could not be collected")
        items = {item.nodeid: item for item in session.items}
        run(session, ([items[name] for name in names] for names in iter(self._ask, [])))
        return True

    def pytest_unconfigure(self) -> None:
        self._reports.close()
        self._files.close()

    def _ask(self) -> list[str]:
        self._send({WANTS: True})
        names: list[str] = json.loads(self._files.readline() or "[]")
        return names

    def _send(self, data: Any) -> None:
        self._reports.write(json.dumps(data, default=str) + "\n")
