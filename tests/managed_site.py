"""A managed site for tests: its commands, its supervisor, and the operating system's own view.

What runs is judged by the process table: a process is a site's if it carries the site's folder in
its environment, or, a worker, the id of an instance: it is told nothing else of the site.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil
from websockets.sync.client import connect

from services.telling import told
from tests.crash.witness import execute, query
from tests.runners import FAST, ROOT, RunnerDied

PATIENCE_S = 40.0
POLL_S = 0.03

QUICK = FAST | {
    "MYAGENT_HEALTH_INTERVAL_S": "0.3",
    "MYAGENT_HEALTH_TIMEOUT_S": "2",
    "MYAGENT_SHUTDOWN_GRACE_S": "2",
    "MYAGENT_SUPERVISOR": "external",
}


def until(fact: Callable[[], Any], what: str = "", *, patience_s: float = PATIENCE_S) -> Any:
    """What the function returns, once that is true."""
    deadline = time.monotonic() + patience_s
    while not (found := fact()):
        assert time.monotonic() < deadline, f"never came true: {what or fact}"
        time.sleep(POLL_S)
    return found


class Command:
    """A command of the site that goes on: `supervise`, or `serve`."""

    program: tuple[str, ...] = ("manage.py",)

    def __init__(self, site: ManagedSite, *arguments: str, **environment: str) -> None:
        self.log_path = site.folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.program, *arguments],
                cwd=site.tree,
                env=site.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        site.commands.append(self)

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def wait_for_log(self, text: str) -> Self:
        def is_there() -> bool:
            if text in self.log:
                return True
            if self.process.poll() is not None:
                raise RunnerDied(self.log)
            return False

        until(is_there, text)
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)


class Module(Command):
    """The same for `python -m`."""

    program = ("-m",)


class ManagedSite:
    """`close` ends every process of the site, whoever started it.

    `tree`: the checkout whose commands are started from now on.
    """

    def __init__(self, database_url: str, folder: Path, **environment: str) -> None:
        self.database_url = database_url
        self.folder = folder
        self.tree = ROOT
        self.commands: list[Command] = []
        self._instances: defaultdict[str, set[str]] = defaultdict(set)
        self.environment = (
            os.environ
            | QUICK
            | {
                "DATABASE_URL": database_url,
                "MYAGENT_VAR_DIR": str(folder / "var"),
                "MYAGENT_ENV_FILE": os.devnull,
                "SECRET_KEY": "for tests only, and long enough to be one",
                "PYTHONUNBUFFERED": "1",
            }
            | environment
        )

    def manage(self, *arguments: str, expect: int | None = 0) -> str:
        """A command that ends by itself; what it wrote. `expect`: its exit status, None for any."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.tree,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S * 2,
            check=False,
        )
        said = done.stdout + done.stderr
        assert expect is None or done.returncode == expect, said
        return said

    def services(self, *arguments: str, expect: int | None = 0) -> str:
        return self.manage("services", *arguments, expect=expect)

    def supervise(self, **environment: str) -> Command:
        """A supervisor that is in charge."""
        command = Command(self, "supervise", **environment)
        return command.wait_for_log("Supervising the services of")

    def serve(self, *arguments: str, **environment: str) -> Command:
        """A server of the site, which supervises as well unless the environment says otherwise."""
        environment = {"MYAGENT_SUPERVISOR": "auto"} | environment
        command = Command(self, "serve", "--port", "0", *arguments, **environment)
        return command.wait_for_log("The site is ready at")

    @staticmethod
    def url(serving: Command, name: str) -> str:
        """Where a server that `serve` started talks for a service."""
        found = re.search(r"is ready at http://[^:]+:(\d+)/", serving.log)
        assert found is not None, serving.log
        return f"ws://127.0.0.1:{found[1]}/services/{name}/"

    def write(self, name: str, code: str) -> Path:
        """An agent file."""
        path = self.folder / name
        path.write_text(code, encoding="utf-8")
        return path

    def register(self, name: str, file: Path | str, *options: str) -> None:
        self.services("register", name, str(file), *options)

    # The operating system's view.

    def processes(self, *words: str) -> list[psutil.Process]:
        """The site's processes whose command line has all the words."""
        self._remember_instances()
        ids = set().union(*self._instances.values())
        return [
            process
            for process, environment in living()
            if (
                environment.get("MYAGENT_VAR_DIR") == str(self.folder / "var")
                or environment.get("MYAGENT_INSTANCE") in ids
            )
            and set(words) <= set(command_of(process))
        ]

    def belonging_to(self, name: str) -> list[psutil.Process]:
        """The service's workers, and what they started."""
        self._remember_instances()
        ids = self._instances[name]
        return [
            process
            for process, environment in living()
            if environment.get("MYAGENT_INSTANCE") in ids
        ]

    def _remember_instances(self) -> None:
        """Whose rows go with their service may live on for a moment."""
        try:
            rows = self.query(
                "SELECT s.name, i.id FROM services_instance i JOIN services_service s "
                "ON s.id = i.service_id"
            )
        except sqlite3.OperationalError as error:
            # Of a database that nothing was ever asked of.
            assert "no such table" in str(error), error
            return
        for name, instance_id in rows:
            self._instances[name].add(instance_id)

    def workers(self, name: str) -> list[psutil.Process]:
        """The service's workers alone."""
        return [one for one in self.belonging_to(name) if leads_a_group(one) and is_worker(one)]

    def until_runs(self, name: str, count: int = 1, *, not_as: set[int] = frozenset()) -> list[int]:  # type: ignore[assignment]
        """The pids, once exactly so many run, all of them serve, and none is of the old ones."""

        def serving() -> list[int] | None:
            pids = {worker.pid for worker in self.workers(name)}
            rows = self.instances(name)
            served = {row["pid"] for row in rows if row["state"] == "running"}
            is_so = pids == served and len(pids) == count == len(rows) and not pids & not_as
            return sorted(pids) if is_so else None

        pids: list[int] = until(serving, f"{count} of {name}")
        return pids

    def until_gone(self, name: str) -> None:
        until(lambda: not self.belonging_to(name), f"{name} gone")

    # The database, read past the product's code.

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return query(self.database_url, sql)

    def execute(self, sql: str) -> None:
        """A change behind the product's back."""
        execute(self.database_url, sql)

    def ask(self, url: str, text: str) -> None:
        """A message to an agent, from a client that leaves once it was accepted."""
        with connect(url) as socket:
            socket.send(json.dumps({"event": "user.create_session"}))
            while (frame := json.loads(socket.recv(PATIENCE_S)))["event"] != "user.message":
                if frame["event"] == "agent.session_created":
                    message = {"event": "user.message", "session_id": frame["session_id"]}
                    socket.send(json.dumps(message | {"content": text}))

    def instances(self, name: str) -> list[dict[str, Any]]:
        """Those that have not ended."""
        columns = ("id", "state", "pid", "slot", "error")
        rows = self.query(
            f"SELECT {', '.join(f'i.{column}' for column in columns)} FROM services_instance i "
            "JOIN services_service s ON s.id = i.service_id "
            f"WHERE s.name = '{name}' AND i.live_slot IS NOT NULL ORDER BY i.slot"
        )
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def service(self, name: str) -> dict[str, Any]:
        columns = ("id", "status", "desired", "error_message", "restart_count")
        rows = self.query(
            f"SELECT {', '.join(columns)} FROM services_service WHERE name = '{name}'"
        )
        found = dict(zip(columns, rows[0], strict=True)) if rows else {}
        return found | {"error_message": told(found["error_message"])} if found else {}

    def until_status(self, name: str, status: str) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            service = self.service(name)
            return service if service.get("status") == status else None

        found: dict[str, Any] = until(reached, f"{name} {status}")
        return found

    def listed(self, *options: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self.services("list", "--json", *options))
        return items

    def close(self) -> None:
        for _ in range(50):
            left = self.processes()
            for process in left:
                with suppress(psutil.Error):
                    process.kill()
            for command in self.commands:
                command.kill()
            if not left:
                return
            time.sleep(POLL_S)
        raise AssertionError(f"these can't be ended: {left}")


def living() -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    """All processes that can be looked into, with their environment."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process, process.environ()


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []  # It has just ended.


def is_worker(process: psutil.Process) -> bool:
    return "myagent.worker" in command_of(process)


def leads_a_group(process: psutil.Process) -> bool:
    try:
        return os.getpgid(process.pid) == process.pid
    except ProcessLookupError:
        return False  # It has just ended.


@contextmanager
def managed_site(database_url: str, folder: Path, **environment: str) -> Iterator[ManagedSite]:
    """A site on a migrated database."""
    site = ManagedSite(database_url, folder, **environment)
    try:
        yield site
    finally:
        site.close()
