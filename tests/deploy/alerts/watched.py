"""A managed site, a real Prometheus that reads its servers, and clients that keep them busy."""

from __future__ import annotations

import asyncio
import shlex
import signal
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from itertools import starmap
from pathlib import Path
from typing import Any

from tests.conftest import need
from tests.deploy.prometheus import Alert, Prometheus
from tests.fake_model_control import FakeModelControl
from tests.managed_site import Command, ManagedSite, managed_site
from tests.ports import free_port
from tests.recording import Recorder
from tests.runners import ROOT

ECHO = ROOT / "examples" / "echo_agent.py"
TOOLS = ROOT / "tests" / "agent_files" / "tools.py"
ODD = ROOT / "tests" / "agent_files" / "odd.py"

PATIENT = {"MYAGENT_LEASE_S": "60", "MYAGENT_SUPERVISOR": "external"}
"""A server that sleeps for seconds keeps what it has."""

ASLEEP_S, AWAKE_S = 3.0, 1.0


class Watched:
    """`prometheus` reads the servers that were started when it was first asked for."""

    def __init__(self, site: ManagedSite, parts: ExitStack) -> None:
        self.site = site
        self._parts = parts
        self._ports: list[int] = []
        self._prometheus: Prometheus | None = None

    @property
    def prometheus(self) -> Prometheus:
        if self._prometheus is None:
            need(Prometheus)
            self._prometheus = self._parts.enter_context(Prometheus(*self._ports))
            self._prometheus.until_scraped()
        return self._prometheus

    def serve(self, *options: str, **environment: str) -> Command:
        self._ports.append(free_port())
        return self.site.serve(*options, MYAGENT_METRICS_PORT=str(self._ports[-1]), **environment)

    def register(self, name: str, file: Path, *options: str) -> None:
        """A service that runs."""
        self.site.register(name, file, "--auto-start", *options)
        self.site.until_runs(name)

    def register_with_model(self, name: str, model: FakeModelControl, *options: str) -> None:
        given = [f"--env={key}={value}" for key, value in model.environment.items()]
        self.register(name, TOOLS, *given, *options)

    def carry_out(self, alert: Alert, *, expect: int = 0) -> str:
        """Types the one command that the alert's action names; what it says."""
        (command,) = alert.commands
        return self.site.manage(*shlex.split(" ".join(command)), expect=expect)


@contextmanager
def watched_site(database_url: str, folder: Path, **environment: str) -> Iterator[Watched]:
    """A site on a migrated database."""
    with managed_site(database_url, folder, **environment) as site, ExitStack() as parts:
        yield Watched(site, parts)


@asynccontextmanager
async def talkers(url: str, count: int, text: str = "hello") -> AsyncIterator[list[str]]:
    """So many clients, each in a conversation of its own: one turn after the other until left.

    Their sessions.
    """

    async def talk(client: Recorder, session: str) -> None:
        while True:
            await client.ask(session, text)

    clients = [await Recorder.open(url) for _ in range(count)]
    sessions = [await client.create_session() for client in clients]
    async with _busy(clients, starmap(talk, zip(clients, sessions, strict=True))):
        yield sessions


@asynccontextmanager
async def onlookers(url: str, sessions: Iterable[str]) -> AsyncIterator[None]:
    """Clients that see what is said in these, until left."""

    async def look(client: Recorder) -> None:
        while True:
            await client.receive()

    clients = []
    for session in sessions:
        clients.append(await Recorder.open(url))
        await clients[-1].reconnect(session)
    async with _busy(clients, map(look, clients)):
        yield


@asynccontextmanager
async def _busy(
    clients: Sequence[Recorder], work: Iterable[Coroutine[Any, Any, None]]
) -> AsyncIterator[None]:
    """Raises what kept one of them from going on."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        for client in clients:
            await client.socket.close()
        if failures := [end for end in ends if isinstance(end, Exception)]:
            raise ExceptionGroup("clients that could not go on", failures)


@asynccontextmanager
async def drowsy(server: Command) -> AsyncIterator[None]:
    """A server that does not get its processor for seconds, again and again."""

    async def doze() -> None:
        while True:
            server.send(signal.SIGSTOP)
            await asyncio.sleep(ASLEEP_S)
            server.send(signal.SIGCONT)
            await asyncio.sleep(AWAKE_S)

    dozing = asyncio.create_task(doze())
    try:
        yield
    finally:
        dozing.cancel()
        await asyncio.wait([dozing])
        server.send(signal.SIGCONT)
