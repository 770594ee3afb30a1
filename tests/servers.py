"""Private MariaDB and Redis servers: own folder, free port, loopback only.

Each is a context manager. `kill()` and `restart()` are for tests of what a crash does: the
port and the data stay the same. `stop()` may be called twice.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.ports import free_port

START_S = 60.0
STOP_S = 20.0
POLL_S = 0.02


class ServerError(Exception):
    """A private server could not be installed, started or reached; the text holds its log."""


def run_first(command: list[str]) -> None:
    """What a server needs once before its first start."""
    result = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)
    if result.returncode:
        raise ServerError(f"{shlex.join(command)} failed:\n{result.stdout}{result.stderr}")


def execute_sql(port: int, statement: str) -> None:
    """Run one SQL statement as root of the private MariaDB on `port`, outside any database."""
    import MySQLdb

    with closing(MySQLdb.connect(host="127.0.0.1", port=port, user="root")) as connection:
        connection.cursor().execute(statement)


def copy_tables(port: int, source: str, target: str) -> None:
    """Copy all tables of one database of the private MariaDB on `port`, with rows, to another."""
    import MySQLdb

    with closing(MySQLdb.connect(host="127.0.0.1", port=port, user="root")) as connection:
        cursor = connection.cursor()
        cursor.execute("SET foreign_key_checks = 0")  # In any order.
        cursor.execute(f"SHOW TABLES FROM {source}")
        tables = [str(table) for (table,) in cursor.fetchall()]
        cursor.execute(f"USE {target}")
        for table in tables:
            cursor.execute(f"SHOW CREATE TABLE {source}.{table}")
            cursor.execute(cursor.fetchone()[1])
        for table in tables:
            cursor.execute(f"INSERT INTO {table} SELECT * FROM {source}.{table}")
        connection.commit()


class PrivateServer(ABC):
    """One server process with its folder. Not thread-safe: whoever starts it stops it."""

    program: str
    start_attempts = 3

    def __init__(self) -> None:
        # Short, as the path of a Unix socket may have 107 bytes only.
        self.folder = Path(tempfile.mkdtemp(prefix="myagent-", dir=self.parent()))
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def is_installed(cls) -> bool:
        return shutil.which(cls.program) is not None

    @classmethod
    def parent(cls) -> Path:
        """Where its folder is made."""
        return Path("/tmp")

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def pid(self) -> int:
        """The running process's id; `ServerError` when it does not run."""
        if self._process is None:
            raise ServerError(f"{self.program} is not running.")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        """Start it and wait until it answers; the first time on a port of its choice."""
        if self.port:
            self._launch()
            return
        self.install()
        for attempt in range(1, self.start_attempts + 1):
            self.port = free_port()
            try:
                self._launch()
            except ServerError:
                if attempt == self.start_attempts:
                    raise
            else:
                return

    def kill(self) -> None:
        """SIGKILL, as a crash; the data stays."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop, unless it is dead already, and start on the same port with the same data."""
        self._end(signal.SIGTERM)
        self._launch()

    def stop(self) -> None:
        """Ask, wait, kill; then remove the data."""
        self._end(signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)

    @abstractmethod
    def install(self) -> None:
        """Do what has to be done once, before the first start."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line that serves on `self.port` from `self.folder`."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server on `self.port` is ready for clients."""

    def _launch(self) -> None:
        with (self.folder / "log").open("ab") as log:
            # A session of its own: Ctrl-C is for pytest, which then stops the servers in order.
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._end(signal.SIGKILL)
                raise ServerError(f"{self.program} did not start:\n{self.log[-4000:]}")
            time.sleep(POLL_S)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class MariaDB(PrivateServer):
    """A MariaDB whose user `root` needs no password."""

    program = "mariadbd"
    label = "mariadb"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _socket(self) -> Path:
        return self.folder / "socket"

    def url(self, database: str) -> str:
        """The value of DATABASE_URL for one of its databases."""
        return f"mysql://root@127.0.0.1:{self.port}/{database}"

    def install(self) -> None:
        run_first(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={self._data}",
                # Another server that starts removes the tables that queries keep there.
                f"--tmpdir={self.folder}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                *self._user(),
            ]
        )

    def command(self) -> list[str]:
        return [
            self.program,
            "--no-defaults",
            f"--datadir={self._data}",
            f"--socket={self._socket}",
            f"--port={self.port}",
            f"--pid-file={self.folder / 'pid'}",
            f"--tmpdir={self.folder}",
            "--bind-address=127.0.0.1",
            "--skip-log-bin",
            "--skip-name-resolve",
            # A commit outlives this process, though not the machine.
            "--innodb-flush-log-at-trx-commit=2",
            *self._user(),
        ]

    def answers(self) -> bool:
        import MySQLdb

        try:
            MySQLdb.connect(unix_socket=str(self._socket), user="root").close()
        except MySQLdb.OperationalError:
            return False
        return True

    @staticmethod
    def _user() -> list[str]:
        return ["--user=root"] if os.geteuid() == 0 else []


class Redis(PrivateServer):
    """A Redis that keeps nothing on disk."""

    program = "redis-server"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def install(self) -> None:
        """Nothing: an empty folder will do."""

    def command(self) -> list[str]:
        return [
            self.program,
            *("--port", str(self.port)),
            *("--bind", "127.0.0.1"),
            *("--dir", str(self.folder)),
            *("--save", ""),
            *("--appendonly", "no"),
        ]

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
