"""Real runners for tests: a process that serves an agent file, started and killed by its pid."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Literal, Self

import pytest

from tests.ports import free_port, until_open

ROOT = Path(__file__).resolve().parent.parent
START_S = 60.0
STOP_S = 30.0

FAST = {
    "MYAGENT_LEASE_S": "3",
    "MYAGENT_RENEW_S": "0.5",
    "MYAGENT_ADOPT_S": "0.3",
    "MYAGENT_SHUTDOWN_GRACE_S": "5",
    "MYAGENT_MESSAGES_PER_SECOND": "0",
}
"""Leases and intervals short enough to wait for."""


Server = Literal["uvicorn", "daphne", "runserver"]

OF_SITES = ("processes", "proxy")
"""Servers of a site with one registered service; see `tests.acceptance.served`."""

SERVERS = [
    pytest.param("uvicorn"),
    pytest.param("daphne"),
    pytest.param("runserver", marks=pytest.mark.long),
    *(pytest.param(name, marks=pytest.mark.long) for name in OF_SITES),
]
"""Those that speak the protocol alike: parameters of tests of it."""

SERVERS_WHEN_LONG = [
    SERVERS[0],
    *(pytest.param(*each.values, marks=pytest.mark.long) for each in SERVERS[1:]),
]
"""The same where what is tested hardly depends on the server."""


class RunnerDied(AssertionError):
    """The runner ended before it was ready; the text is its log."""


class Runner:
    """`runagent FILE`, or the same file under another server, in a process group of its own.

    Created already ready, on `url`. Log lines are kept in `log`. `tree`: another
    checkout, which is run by its own environment.
    """

    def __init__(
        self,
        file: Path | str,
        database_url: str,
        var_dir: Path | str,
        *options: str,
        server: Server = "uvicorn",
        port: int = 0,
        env: Mapping[str, str] | None = None,
        tree: Path = ROOT,
        cwd: Path | None = None,
    ) -> None:
        self.port = port or free_port()
        self.log: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        environment = os.environ | FAST | {
            "DATABASE_URL": database_url,
            "MYAGENT_VAR_DIR": str(var_dir),
            "MYAGENT_ENV_FILE": os.devnull,
            "SECRET_KEY": "for tests only",
            "MYAGENT_AGENT": "" if server == "uvicorn" else str(file),
            "PYTHONUNBUFFERED": "1",
        } | dict(env or {})  # fmt: skip
        if server == "daphne":
            command = ["-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port)]
            command.append("myagent_site.asgi:application")
            mark = "Listening on TCP address"
        elif server == "runserver":
            command = [str(tree / "manage.py"), "runserver", "--noreload", f"127.0.0.1:{self.port}"]
            mark = "Quit the server"
        else:
            command = [str(tree / "manage.py"), "runagent", str(file), "--host", "127.0.0.1"]
            command += ["--port", str(self.port), *options]
            mark = "is ready at"
        self.process = subprocess.Popen(
            [sys.executable if tree == ROOT else str(tree / ".venv/bin/python"), *command],
            cwd=cwd or tree,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()
        try:
            self.wait_for_log(mark)
            if server == "runserver":
                until_open(self.port)  # It says so a moment before.
        except BaseException:
            self.__exit__()
            raise

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_for_log(self, text: str) -> str:
        """The next line of the log that contains the text. Raises `RunnerDied`."""
        while (line := self._lines.get(timeout=START_S)) is not None:
            if text in line:
                return line
        raise RunnerDied("".join(self.log))

    def kill(self) -> None:
        """SIGKILL, and waits until the process is gone."""
        self.signal(signal.SIGKILL)
        self.process.wait(STOP_S)

    def stop(self) -> int:
        """SIGTERM, and waits; the exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()
        self._reader.join(STOP_S)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.log.append(line)
            self._lines.put(line)
        self._lines.put(None)
