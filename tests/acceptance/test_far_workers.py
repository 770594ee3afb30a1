"""Workers that servers reach over TCP alone, as on another machine: no folder is shared."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from myagent.client import FinalAnswer, connect
from tests.managed_site import Command, ManagedSite, managed_site, until
from tests.ports import free_port

pytestmark = pytest.mark.processes

PATIENCE_S = 60.0

WAITING = """
import asyncio, os, pathlib

HERE = pathlib.Path(__file__).parent

async def agent(text):
    (HERE / f"{text}-{os.getpid()}").touch()
    while not (HERE / "go").exists():
        await asyncio.sleep(0.01)
    return f"{text} {os.getpid()}"

agent.idempotent = True
"""
"""Answers with its pid once there is a file 'go'; leaves one for each question that it has got."""


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    with managed_site(fresh_database_url, tmp_path, MYAGENT_WORKER_STUCK_S="2") as site:
        yield site


class Far:
    """A `runagent --service` with a var folder and a loopback address of its own."""

    def __init__(self, site: ManagedSite, name: str, number: int, *options: str) -> None:
        self.host = f"127.0.0.{number}"
        var = site.folder / f"var{number}"
        options = options or ("--bind", self.host)
        self.command = Command(
            site, "runagent", "--service", name, *options, MYAGENT_VAR_DIR=str(var)
        )

    def ready(self) -> Far:
        self.command.wait_for_log("has a worker here")
        return self

    @property
    def address(self) -> str:
        (*_, found) = re.findall(r"reach at (tcp://[^;]+);", self.command.log)
        return str(found)

    @property
    def pids(self) -> list[int]:
        """Of the workers that it had, the newest last."""
        return [int(pid) for pid in re.findall(r"\(pid (\d+)\)", self.command.log)]


async def answer(url: str, text: str) -> str:
    async with connect(url) as client:
        events = [event async for event in client.ask(text)]
    assert isinstance(events[-1], FinalAnswer)
    return events[-1].content


def registered(site: ManagedSite, name: str = "far") -> str:
    """The address of a service that nobody supervises, and of a server of it."""
    site.register(name, site.write(f"{name}.py", WAITING))
    serving = site.serve(MYAGENT_SUPERVISOR="external")
    assert "No supervisor" in site.services("start", name, "--no-wait", expect=1)
    return site.url(serving, name)


def asked(site: ManagedSite, text: str, without: set[int] = frozenset()) -> int:  # type: ignore[assignment]
    """The pid of the worker that got the question."""

    def got() -> int | None:
        found = {int(path.name.rpartition("-")[2]) for path in site.folder.glob(f"{text}-*")}
        return next(iter(found - without), None)

    pid: int = until(got, f"somebody is asked {text!r}")
    return pid


def by_link(site: ManagedSite, pid: int) -> set[str]:
    """The addresses of the worker to which something else is connected over TCP."""
    connections = psutil.Process(pid).net_connections("tcp")
    return {each.laddr.ip for each in connections if each.status == psutil.CONN_ESTABLISHED}


@pytest.mark.both_databases(when_long=True)
async def test_a_turn_outlives_a_far_worker_that_is_killed_and_stop_ends_the_others(
    site: ManagedSite,
) -> None:
    url = await asyncio.to_thread(registered, site)
    far = [await asyncio.to_thread(Far(site, "far", number).ready) for number in (2, 3)]
    asking = asyncio.create_task(answer(url, "hello"))
    first = await asyncio.to_thread(asked, site, "hello")
    (owner,) = [each for each in far if first in each.pids]
    assert by_link(site, first) == {owner.host}
    psutil.Process(first).kill()
    second = await asyncio.to_thread(asked, site, "hello", {first})
    (site.folder / "go").touch()
    assert await asking == f"hello {second}"
    # What died is replaced by its own supervisor, at an address of its own.
    await asyncio.to_thread(until, lambda: len(owner.pids) == 2)
    listed = {row["pid"]: row for row in site.listed()[0]["instances"]}
    assert listed.keys() == {pid for each in far for pid in each.pids} - {first}
    assert {row["address"] for row in listed.values()} == {each.address for each in far}
    await asyncio.to_thread(site.services, "stop", "far")
    for each in far:
        assert each.command.process.wait(PATIENCE_S) == 0
        assert "far is stopped: its worker here has ended." in each.command.log
    assert not site.workers("far")


async def test_a_turn_leaves_a_far_worker_that_is_frozen(site: ManagedSite) -> None:
    url = await asyncio.to_thread(registered, site)
    far = [await asyncio.to_thread(Far(site, "far", number).ready) for number in (2, 3)]
    asking = asyncio.create_task(answer(url, "hello"))
    first = await asyncio.to_thread(asked, site, "hello")
    psutil.Process(first).suspend()
    second = await asyncio.to_thread(asked, site, "hello", {first})
    (site.folder / "go").touch()
    assert await asking == f"hello {second}"
    for each in far:
        # It is told to leave by its own machine: its run is over, and its worker idle.
        assert await asyncio.to_thread(each.command.stop) == 0


@pytest.mark.long
async def test_a_restart_rolls_a_far_worker_at_a_fixed_port(site: ManagedSite) -> None:
    url = await asyncio.to_thread(registered, site)
    (site.folder / "go").touch()
    port = free_port()
    place = f"127.0.0.2:{port}"
    far = await asyncio.to_thread(
        Far(site, "far", 2, "--bind", f"0.0.0.0:{port}", "--advertise", place).ready
    )
    (first,) = far.pids
    assert await answer(url, "one") == f"one {first}"
    await asyncio.to_thread(site.services, "restart", "far")
    # The new one is announced while the old one may still get a question.
    (second,) = await asyncio.to_thread(site.until_runs, "far", not_as={first})
    assert await answer(url, "two") == f"two {second}"
    assert far.address == f"tcp://{place}"
    assert await asyncio.to_thread(far.command.stop, signal.SIGINT) == 0


@pytest.mark.long
def test_another_agent_file_may_be_used_here(site: ManagedSite) -> None:
    url = registered(site)
    here = site.write("here.py", "async def agent(text):\n    return 'here'\n")
    file = site.folder / "ready"
    far = Far(site, "far", 2, str(here), "--bind", "127.0.0.2", "--ready-file", str(file)).ready()
    assert file.exists()
    assert asyncio.run(answer(url, "hello")) == "here"
    assert json.loads(site.services("status", "far", "--json"))["agent_factory_path"] != str(here)
    assert far.command.stop() == 0
    assert not file.exists()


WRONG: dict[str, tuple[tuple[str, ...], int, str]] = {
    "a place that is none": (("--service", "far", "--bind", "::1:x"), 2, "is not HOST"),
    "an address of another machine": (
        ("--service", "far", "--bind", "192.0.2.1"), 1, "--bind 192.0.2.1:0 is not possible",
    ),
    "a port of any number": (
        ("--service", "far", "--bind", "127.0.0.1", "--advertise", "h:9001"),
        *(2, "a port only if --bind has one too"),
    ),
    "somebody's file": (
        ("--service", "far", "--ready-file", __file__), 1, "is not possible: the file is not empty",
    ),
    "a file in no folder": (
        ("--service", "far", "--ready-file", "/nowhere/ready"), 1, "--ready-file /nowhere/ready is",
    ),
    "nothing to advertise": (("--service", "far", "--advertise", "h"), 2, "only with --bind"),
    "no service": (("file.py", "--bind", "127.0.0.1"), 2, "--bind: only with --service"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "status", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(
    site: ManagedSite, options: tuple[str, ...], status: int, sentence: str
) -> None:
    site.register("far", site.write("far.py", WAITING))
    said: Any = site.manage("runagent", *options, expect=status)
    assert sentence in said
    assert "Traceback" not in said
