"""A whole site on this machine, each part a process that can be killed and is then started again.

Two servers and a supervisor, three services of two workers each, MariaDB, Redis, and nginx with TLS
before them, set up as `deploy/` has it. Whoever restarts a part is this module, as systemd would.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from bench.subjects import (
    AS_SHIPPED,
    ECHO_AGENT,
    MODEL_AGENT,
    ROOT,
    DurableMariaDB,
    new_database,
)
from tests.accounts import make
from tests.fake_model import fake_model_process
from tests.fake_model_control import FakeModelControl
from tests.managed_site import Command, ManagedSite, command_of, managed_site
from tests.nginx import Nginx
from tests.ports import free_port
from tests.servers import PrivateServer, Redis

SERVICES = {
    "echo": ECHO_AGENT,
    "model": MODEL_AGENT,
    "tools": ROOT / "tests" / "agent_files" / "counting_agent.py",
}
REPLICAS = 2
SERVERS = 2
PEOPLE = 20
OPERATOR = "operator"
DOWN_S = 3.0
"""How long a part that was killed is missing before it is started again."""

SHIPPED = AS_SHIPPED | {
    "MYAGENT_MESSAGES_PER_SECOND": "10",
    "MYAGENT_HEALTH_INTERVAL_S": "10",
    "MYAGENT_HEALTH_TIMEOUT_S": "5",
    "MYAGENT_SHUTDOWN_GRACE_S": "30",
    "MYAGENT_LOG_LEVEL": "WARNING",
    "MYAGENT_PASS_ENV": "COUNT_DIR",
    "MYAGENT_TRUSTED_PROXIES": "127.0.0.1",
    "MYAGENT_AUTH": "token",
}
"""What a site has by itself, where the tests' own have it shorter."""


class WholeSite:
    """Its parts by name. `count_dir`: where the tools leave their marks."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.count_dir = folder / "count"
        self.count_dir.mkdir()
        self.mariadb = stack.enter_context(DurableMariaDB())
        self.redis = stack.enter_context(Redis())
        self.nginx = stack.enter_context(Nginx())
        self._model_url = stack.enter_context(fake_model_process())
        self.model = FakeModelControl(self._model_url)
        self.database_url = new_database(self.mariadb, "site")
        environment = SHIPPED | self.model.environment | {"REDIS_URL": self.redis.url}
        environment |= {"COUNT_DIR": str(self.count_dir)}
        self._site: ManagedSite = stack.enter_context(
            managed_site(self.database_url, folder, **environment)
        )
        self._ports = [free_port() for _ in range(SERVERS)]
        self.servers: list[Command] = []
        self.supervisor: Command

    def start(self) -> None:
        """Everything, until each service has its workers."""
        self._site.manage("migrate", "--verbosity=0")
        self.supervisor = self._site.supervise()
        for name, file in SERVICES.items():
            options = ("--replicas", str(REPLICAS), "--auto-start")
            self._site.register(name, file, *options)
        self.servers = [self._serve(port) for port in self._ports]
        for name in SERVICES:
            self._site.until_runs(name, REPLICAS)
        self.nginx.pass_to(self._ports)
        self.nginx.restart()
        self._tokens = self._make_people()

    def _make_people(self) -> dict[str, str]:
        """Each one's token."""
        people: dict[str, dict[str, object]] = {f"person{number}": {} for number in range(PEOPLE)}
        people[OPERATOR] = {"is_superuser": True, "is_staff": True}
        settings = {"DJANGO_SETTINGS_MODULE": "myagent_site.settings"}
        made = make(self._site.environment | settings, **people)
        return {name: facts["token"] for name, facts in made.items()}

    def credentials(self, number: int) -> dict[str, str]:
        """Headers that prove who a client is: people have several clients each."""
        return _bearer(self._tokens[f"person{number % PEOPLE}"])

    @property
    def operators_credentials(self) -> dict[str, str]:
        return _bearer(self._tokens[OPERATOR])

    @property
    def url(self) -> str:
        """Where clients come in."""
        return self.nginx.url

    def socket_url(self, service: str) -> str:
        return f"{self.nginx.socket_url}services/{service}/"

    def urls_with_token(self, service: str) -> Iterator[str]:
        """One of each person, for clients that can't send headers."""
        for number in range(PEOPLE):
            yield f"{self.socket_url(service)}?token={self._tokens[f'person{number}']}"

    def _serve(self, port: int) -> Command:
        return self._site.serve("--port", str(port), MYAGENT_SUPERVISOR="external")

    # What may happen to it. Each blocks until the part is there again.

    def kill_worker(self) -> None:
        """The supervisor starts another one."""
        before = self._site.until_runs("model", REPLICAS)
        os.kill(before[0], 9)
        self._site.until_runs("model", REPLICAS, not_as={before[0]})

    def kill_server(self) -> None:
        self.servers[0].kill()
        time.sleep(DOWN_S)
        self.servers[0] = self._serve(self._ports[0])

    def kill_supervisor(self) -> None:
        self.supervisor.kill()
        time.sleep(DOWN_S)
        self.supervisor = self._site.supervise()

    def kill_nginx(self) -> None:
        _kill(self.nginx)

    def reload_nginx(self) -> None:
        self.nginx.reload()

    def kill_redis(self) -> None:
        _kill(self.redis)

    def kill_mariadb(self) -> None:
        _kill(self.mariadb)

    # The operating system's view.

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Those of each kind that live now; MariaDB's and others' while they are there."""
        roots = {
            "server": [server.process.pid for server in self.servers],
            "supervisor": [self.supervisor.process.pid],
            "MariaDB": _pids_of(self.mariadb),
            "Redis": _pids_of(self.redis),
            "nginx": _pids_of(self.nginx),
        }
        found = {kind: list(_living(pids)) for kind, pids in roots.items()}
        found["nginx"] += [child for each in found["nginx"] for child in each.children()]
        return found | {"worker": list(self._workers())}

    def log_lines(self) -> Iterator[tuple[str, str]]:
        """What servers and supervisors wrote, each line with the name of its file."""
        for command in self._site.commands:
            for line in command.log.splitlines():
                yield command.log_path.name, line

    def _workers(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if "myagent.worker" not in command_of(process):
                    continue
                if process.environ().get("OPENAI_BASE_URL") == self._model_url:
                    yield process


def _kill(server: PrivateServer) -> None:
    server.kill()
    time.sleep(DOWN_S)
    server.restart()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _pids_of(server: PrivateServer) -> list[int]:
    return [server.pid] if server.is_running else []


def _living(pids: list[int]) -> Iterator[psutil.Process]:
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            yield psutil.Process(pid)


@contextmanager
def whole_site() -> Iterator[WholeSite]:
    """Started; its clients' programs trust its certificate."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="site-")))
        site = WholeSite(stack, folder)
        site.start()
        os.environ["SSL_CERT_FILE"] = str(site.nginx.certificate)
        yield site
