"""`runagent --service`: a worker of a registered service, kept by the process that was asked to."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.utils import translation

from myagent.client import FinalAnswer, connect
from services.telling import told
from tests.managed_site import Command, ManagedSite, managed_site, until
from tests.runners import ROOT

pytestmark = pytest.mark.processes

ECHO = ROOT / "examples" / "echo_agent.py"
WHICH = """
import asyncio, os, pathlib, uuid

async def agent(text):
    here = pathlib.Path(__file__).parent / text
    here.mkdir(exist_ok=True)
    (here / uuid.uuid4().hex).touch()
    while len(list(here.iterdir())) < 3:
        await asyncio.sleep(0.01)
    return str(os.getpid())
"""
"""Answers three questions of the same text when all were asked; so each may have a worker."""
READY = "has a worker here"


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    with managed_site(fresh_database_url, tmp_path) as site:
        yield site


def kept(site: ManagedSite, name: str = "echo", **environment: str) -> Command:
    """One whose worker is ready."""
    command = Command(site, "runagent", "--service", name, **environment)
    return command.wait_for_log(READY)


def desire(site: ManagedSite, name: str = "echo") -> None:
    """As `services start` does, which says as well that no supervisor is there."""
    assert "No supervisor" in site.services("start", name, "--no-wait", expect=1)


def apart(site: ManagedSite, name: str = "echo") -> list[dict[str, Any]]:
    """The rows of its workers that are no replicas."""
    columns = ("id", "state", "pid", "error", "exit_code")
    rows = site.query(
        f"SELECT {', '.join(f'i.{column}' for column in columns)} FROM services_instance i "
        "JOIN services_service s ON s.id = i.service_id "
        f"WHERE s.name = '{name}' AND i.kept_by <> '' ORDER BY i.launched_at"
    )
    return [dict(zip(columns, row, strict=True)) for row in rows]


async def answer(url: str, text: str) -> str:
    async with connect(url) as client:
        events = [event async for event in client.ask(text)]
    assert isinstance(events[-1], FinalAnswer)
    return events[-1].content


@pytest.mark.long
def test_its_worker_answers_where_nobody_supervises(site: ManagedSite) -> None:
    site.register("echo", ECHO)
    desire(site)
    serving = site.serve(MYAGENT_SUPERVISOR="external")
    command = kept(site)
    assert "hello" in asyncio.run(answer(site.url(serving, "echo"), "hello"))
    (listed,) = site.listed()
    assert listed["status"] == "running"
    (instance,) = listed["instances"]
    assert instance["supervisor"] != instance["host"]
    assert command.stop(signal.SIGINT) == 0
    site.until_gone("echo")
    (row,) = apart(site)
    assert row["state"] == "stopped"
    assert site.service("echo")["status"] == "stopped"


@pytest.mark.both_databases(when_long=True)
def test_beside_a_supervisor_it_is_none_of_the_replicas(site: ManagedSite) -> None:
    serving = site.serve()
    site.register("which", site.write("which.py", WHICH), "--auto-start", "--replicas=2")
    replicas = site.until_runs("which", 2)
    command = kept(site, "which")
    every = site.until_runs("which", 3)
    assert set(replicas) < set(every)
    url = site.url(serving, "which")

    async def three_at_once(text: str) -> set[int]:
        return set(map(int, await asyncio.gather(*(answer(url, text) for _ in range(3)))))

    rounds = count()
    until(lambda: asyncio.run(three_at_once(f"round {next(rounds)}")) == set(every), "it answers")
    assert command.stop() == 0
    assert site.until_runs("which", 2) == replicas
    assert site.service("which")["restart_count"] == 0


def test_a_worker_that_dies_is_replaced_by_its_own_supervisor(site: ManagedSite) -> None:
    site.supervise()
    site.register("echo", ECHO, "--auto-start")
    replicas = site.until_runs("echo")
    kept(site)
    (own,) = set(site.until_runs("echo", 2)) - set(replicas)
    psutil.Process(own).kill()
    assert set(replicas) < set(site.until_runs("echo", 2, not_as={own}))
    # Of the service's own workers none has failed.
    assert site.service("echo")["restart_count"] == 0


@pytest.mark.parametrize("who", ["supervisor", pytest.param("server", marks=pytest.mark.long)])
def test_when_it_is_killed_its_worker_ends_and_somebody_else_says_so(
    site: ManagedSite, who: str
) -> None:
    site.register("echo", ECHO)
    desire(site)
    if who == "server":
        site.serve(MYAGENT_SUPERVISOR="external")
    command = kept(site)
    (own,) = site.until_runs("echo")
    if who == "supervisor":
        site.supervise()
        site.until_runs("echo", 2)
    command.kill()
    until(lambda: not psutil.pid_exists(own), "the worker is gone")
    (row,) = until(lambda: [row for row in apart(site) if row["state"] == "error"])
    with translation.override("zh-hans"):
        assert "runagent --service" in told(row["error"])
    if who == "supervisor":
        site.until_runs("echo", 1, not_as={own})
        assert site.service("echo")["status"] == "running"
    else:
        assert "runagent" in site.until_status("echo", "error")["error_message"]


@pytest.mark.both_databases(when_long=True)
def test_stop_ends_it_and_a_start_is_waited_for(site: ManagedSite) -> None:
    site.supervise()
    site.register("echo", ECHO)
    command = Command(site, "runagent", "--service", "echo").wait_for_log("is stopped")
    assert not site.workers("echo")
    site.services("start", "echo")
    command.wait_for_log(READY)
    site.until_runs("echo", 2)
    site.services("stop", "echo")
    site.until_gone("echo")
    assert command.process.wait(30) == 0
    assert [row["state"] for row in apart(site)] == ["stopped"]


@pytest.mark.long
def test_a_restart_rolls_it_too(site: ManagedSite) -> None:
    site.supervise()
    site.register("echo", ECHO, "--auto-start")
    site.until_runs("echo")
    command = kept(site)
    before = site.until_runs("echo", 2)
    site.services("restart", "echo")
    site.until_runs("echo", 2, not_as=set(before))
    assert command.process.poll() is None
    assert [row["state"] for row in apart(site)] == ["stopped", "running"]


@pytest.mark.long
def test_without_a_supervisor_stop_and_restart_arrive_by_it(site: ManagedSite) -> None:
    site.register("echo", ECHO)
    desire(site)
    command = kept(site)
    before = site.until_runs("echo")
    site.services("restart", "echo")
    site.until_runs("echo", not_as=set(before))
    site.services("stop", "echo")
    assert command.process.wait(30) == 0


@pytest.mark.long
def test_taken_off_the_list_the_service_goes_with_it(site: ManagedSite) -> None:
    site.register("echo", ECHO)
    desire(site)
    command = kept(site)
    site.services("unregister", "echo")
    assert command.process.wait(30) == 0
    assert site.service("echo") == {}


def test_a_file_that_can_not_be_loaded_is_a_sentence_and_status_78(site: ManagedSite) -> None:
    site.register("broken", site.write("broken.py", "def create_agent(:\n"))
    desire(site, "broken")
    said = site.manage("runagent", "--service", "broken", expect=78)
    assert "broken.py" in said
    assert "line 1" in said
    assert "Traceback" not in said
    assert site.service("broken")["status"] == "error"


@pytest.mark.long
def test_a_file_that_ends_its_process_is_given_up_as_the_service_says(site: ManagedSite) -> None:
    code = "import os\nos._exit(3)\n"
    options = ("--max-restart-count=1", "--restart-delay=0.05")
    site.register("leaves", site.write("leaves.py", code), *options)
    desire(site, "leaves")
    said = site.manage("runagent", "--service", "leaves", expect=1)
    assert "2 times" in said
    assert "with status 3" in said


def test_a_name_that_nobody_has_is_answered_with_those_that_there_are(site: ManagedSite) -> None:
    site.register("echo", ECHO)
    said = site.manage("runagent", "--service", "ehco", expect=1)
    assert "There is no service 'ehco'. There are: echo." in said
    said = site.manage("runagent", "mine.py", "--service", "echo", "--port", "9", expect=2)
    assert "leave out --port" in said
