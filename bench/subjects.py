"""The servers that are measured, each a process of its own on loopback."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from os import environ
from pathlib import Path
from types import MappingProxyType

from bench.clients import EchoClient, PlainClient, SessionClient
from bench.load import Subject
from tests.fake_model import fake_model_process
from tests.runners import Runner
from tests.servers import MariaDB, execute_sql

ROOT = Path(__file__).resolve().parent.parent
ECHO_AGENT = ROOT / "examples" / "echo_agent.py"
MODEL_AGENT = ROOT / "bench" / "agents" / "model_agent.py"
STOP_S = 10.0

UNLIMITED = {
    "MYAGENT_MESSAGES_PER_SECOND": "0",
    "MYAGENT_CONNECTIONS_PER_ADDRESS": "0",
    "MYAGENT_LOG_LEVEL": "WARNING",
}
AS_SHIPPED = {"MYAGENT_LEASE_S": "15", "MYAGENT_RENEW_S": "5", "MYAGENT_ADOPT_S": "2"}


class DurableMariaDB(MariaDB):
    """Every commit is on the disk, as `deploy/mysql.cnf` has it."""

    def command(self) -> list[str]:
        return [
            *super().command(),
            "--innodb-flush-log-at-trx-commit=1",
            "--innodb-buffer-pool-size=512M",
            "--max-connections=300",
        ]


class Site:
    """Starts subjects over one database and one stand-in for a model; stops them at the end.

    `other_url`: the database of subjects that have to be apart from the rest.
    """

    def __init__(
        self, stack: ExitStack, database_url: str, folder: Path, *, other_url: str
    ) -> None:
        self._stack = stack
        self.database_url = database_url
        self._other_url = other_url
        self._folder = folder
        self.model_url = stack.enter_context(fake_model_process())
        self._model_env = {
            "OPENAI_BASE_URL": self.model_url,
            "OPENAI_API_KEY": "none",
            "OPENAI_MODEL": "fake",
        }

    def runner(
        self,
        name: str,
        agent_file: Path,
        *,
        tree: Path = ROOT,
        apart: bool = False,
        **environment: str,
    ) -> Subject:
        """`tree`: another checkout; it gets a database of its own, as one that is `apart` does."""
        url = self._other_url if apart or tree != ROOT else self.database_url
        runner = self._stack.enter_context(self._start(agent_file, url, tree, environment))
        return Subject(name, runner.url, runner.pid, SessionClient)

    def baseline(self, module: str) -> Subject:
        client = EchoClient if module == "echo" else PlainClient
        url, pid = self._stack.enter_context(_baseline(module, self._model_env))
        return Subject(module, url, pid, client)

    def start_s(self, agent_file: Path) -> float:
        """Wall seconds from starting a runner to its being ready."""
        began = time.perf_counter()
        with self.start(agent_file):
            return time.perf_counter() - began

    def start(self, agent_file: Path, **environment: str) -> Runner:
        """A runner of one's own, to be used as a context."""
        return self._start(agent_file, self.database_url, ROOT, environment)

    def _start(
        self,
        agent_file: Path,
        database_url: str,
        tree: Path,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> Runner:
        env = self._model_env | UNLIMITED | AS_SHIPPED | environment
        folder = self._folder / tree.name
        return Runner(agent_file, database_url, folder, env=env, tree=tree)


@contextmanager
def open_site(database: str) -> Iterator[Site]:
    """`database` is `sqlite` or `mariadb`: a new one, on the disk, thrown away at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        urls = [f"sqlite:///{folder / name}.db" for name in ("site", "apart")]
        if database == "mariadb":
            server = stack.enter_context(DurableMariaDB())
            urls = [new_database(server, name) for name in ("bench", "apart")]
        yield Site(stack, urls[0], folder, other_url=urls[1])


def new_database(server: MariaDB, name: str) -> str:
    """Its address."""
    execute_sql(server.port, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    return server.url(name)


@contextmanager
def _baseline(module: str, env: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    command = [sys.executable, "-m", "bench.baselines.serve", f"bench.baselines.{module}"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environ | env, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            yield f"ws://127.0.0.1:{int(process.stdout.readline())}/", process.pid
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
