"""`serve --processes 2`, whose processes are frozen and killed: its clients are the judge."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit
from urllib.request import urlopen

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from tests.crash.witness import Witness, assert_promises
from tests.managed_site import PATIENCE_S, Command, ManagedSite, managed_site, until
from tests.ports import free_port
from tests.recording import Recorder, kinds
from tests.servers import MariaDB, Redis, execute_sql

COUNT = 2
CLIENTS = 8

PATIENT = """
import asyncio, pathlib

async def agent(text):
    go = pathlib.Path(__file__).with_name("go")
    while text == "wait" and not go.exists():
        await asyncio.sleep(0.02)
    return text

agent.idempotent = True
"""


@pytest.fixture(scope="module")
def site(
    mariadb: MariaDB, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ManagedSite]:
    execute_sql(mariadb.port, "CREATE DATABASE processes CHARACTER SET utf8mb4")
    folder = tmp_path_factory.mktemp("processes")
    url, redis = mariadb.url("processes"), redis_server.url
    with managed_site(
        url, folder, REDIS_URL=redis, MYAGENT_RENEW_S="0.3", MYAGENT_SHUTDOWN_GRACE_S="60"
    ) as site:
        site.manage("migrate", "--verbosity=0")
        file = site.write("patient.py", PATIENT)
        site.register("patient", file, "--port", str(free_port()))
        site.execute("UPDATE services_service SET desired = 'running'")
        yield site


@pytest.fixture
def serving(site: ManagedSite) -> Iterator[Command]:
    serving = site.serve("--processes", str(COUNT))
    site.until_runs("patient")
    yield serving
    for child in children(serving):
        child.send_signal(signal.SIGCONT)
    # Else it waits for the runs of a test that failed.
    (site.folder / "go").touch()
    serving.stop()
    (site.folder / "go").unlink()


def children(serving: Command) -> list[psutil.Process]:
    """The server processes that live."""
    if serving.process.poll() is not None:
        return []
    found = psutil.Process(serving.process.pid).children()
    return [
        child
        for child in found
        if child.status() != psutil.STATUS_ZOMBIE and has_listener(child.cmdline())
    ]


def has_listener(command: list[str]) -> bool:
    return any(word.startswith("--listener-fd=") for word in command)


def own_port(site: ManagedSite) -> int:
    port: int = site.query("SELECT port FROM services_service")[0][0]
    return port


def opener(site: ManagedSite, serving: Command) -> psutil.Process | None:
    """The process that listens on the service's own port."""
    for child in children(serving):
        for connection in child.net_connections():
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == own_port(site):
                return child
    return None


async def see_the_end(witness: Witness, url: str) -> None:
    """As a client does: it comes again whenever its connection breaks."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await witness.until_ended(1)
                return
            except ConnectionClosed:
                await come_again(witness, url)


async def come_again(witness: Witness, url: str) -> None:
    while True:
        try:
            await witness.reattach(url)
            return
        except (OSError, ConnectionClosed):
            await asyncio.sleep(0.05)


async def test_a_frozen_process_takes_no_clients_and_a_killed_one_costs_no_turn(
    site: ManagedSite, serving: Command
) -> None:
    url = ManagedSite.url(serving, "patient")
    victim = await asyncio.to_thread(until, lambda: opener(site, serving), "own port open")
    victim.suspend()
    async with AsyncExitStack() as sockets:
        for _ in range(CLIENTS):
            await sockets.enter_async_context(await Recorder.open(url))
    victim.resume()
    witnesses = await asyncio.gather(*(Witness.arrive(url) for _ in range(CLIENTS)))
    for witness in witnesses:
        await witness.say("wait")
        await witness.recorder.until("user.message")
    victim.kill()
    (site.folder / "go").touch()
    await asyncio.gather(*(see_the_end(witness, url) for witness in witnesses))
    for witness in witnesses:
        assert kinds(witness.durable)[-1] == "agent.final_answer"
        assert_promises(site.database_url, witness.session_id, witness)
        await witness.leave()
    # It is replaced, and somebody listens on the service's own port again.
    serving.wait_for_log("server_process_ended")
    await asyncio.to_thread(until, lambda: len(children(serving)) == COUNT, "replaced")
    await asyncio.to_thread(until, lambda: opener(site, serving), "own port open again")
    async with await Recorder.open(f"ws://127.0.0.1:{own_port(site)}/") as client:
        assert (await client.ask(await client.create_session(), "hi"))["content"] == "hi"


def listens(process: psutil.Process, port: int) -> bool:
    return any(
        connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        for connection in process.net_connections()
    )


async def test_a_process_that_leaves_alone_leaves_new_clients_to_the_others(
    site: ManagedSite, serving: Command
) -> None:
    url = ManagedSite.url(serving, "patient")
    port = urlsplit(url).port
    assert port is not None
    witnesses = await asyncio.gather(*(Witness.arrive(url) for _ in range(CLIENTS)))
    for witness in witnesses:
        await witness.say("wait")
        await witness.recorder.until("user.message")
    victim = children(serving)[0]
    victim.terminate()
    await asyncio.to_thread(until, lambda: not listens(victim, port), "it listens no more")
    for _ in range(CLIENTS):
        async with await Recorder.open(url) as client:
            assert (await client.ask(await client.create_session(), "hi"))["content"] == "hi"
    assert victim.is_running()
    (site.folder / "go").touch()
    await asyncio.gather(*(see_the_end(witness, url) for witness in witnesses))
    for witness in witnesses:
        assert_promises(site.database_url, witness.session_id, witness)
        await witness.leave()


async def test_a_stop_tells_every_client_and_leaves_nothing(
    site: ManagedSite, serving: Command
) -> None:
    url = ManagedSite.url(serving, "patient")
    async with AsyncExitStack() as sockets:
        clients = [
            await sockets.enter_async_context(await Recorder.open(url)) for _ in range(CLIENTS)
        ]
        serving.send(signal.SIGTERM)
        for client in clients:
            assert await client.read_to_close() == 4012
            assert "draining" in {frame["metadata"].get("code") for frame in client.frames}
    assert await asyncio.to_thread(serving.process.wait, PATIENCE_S) == 0
    assert "start again with the next serve" in serving.log
    assert serving.log.count("is ready at") == 1
    await asyncio.to_thread(until, lambda: not site.processes(), "nothing left")


async def test_the_processes_end_with_their_parent(site: ManagedSite, serving: Command) -> None:
    url = ManagedSite.url(serving, "patient")
    left = children(serving)
    assert len(left) == COUNT
    async with await Recorder.open(url) as client:
        serving.kill()
        assert await client.read_to_close() == 4012
    await asyncio.to_thread(psutil.wait_procs, left, PATIENCE_S)
    assert not [child for child in left if child.is_running()]


async def test_the_processes_count_together_and_what_a_dead_one_counted_stays(
    site: ManagedSite, serving: Command
) -> None:
    url = ManagedSite.url(serving, "patient")
    before = await asyncio.to_thread(runs_counted, url)
    witnesses = await asyncio.gather(*(Witness.arrive(url) for _ in range(CLIENTS)))
    for witness in witnesses:
        await witness.say("count me")
        await witness.until_ended(1)
        await witness.leave()
    # A write is counted just after its clients were told.
    await asyncio.to_thread(until, lambda: runs_counted(url) == before + CLIENTS, "counted")
    children(serving)[0].kill()
    serving.wait_for_log("server_process_ended")
    await asyncio.to_thread(until, lambda: len(children(serving)) == COUNT, "replaced")
    await asyncio.to_thread(until, lambda: runs_counted(url) == before + CLIENTS, "kept")


def runs_counted(url: str) -> float:
    """As any of the processes tells it."""
    parts = urlsplit(url)
    with urlopen(f"http://{parts.netloc}/metrics", timeout=PATIENCE_S) as answer:
        lines = answer.read().decode().splitlines()
    name = 'myagent_runs_ended_total{service="patient",status="answered"} '
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))
