"""On SQLite nobody has to think of a supervisor: commands start one where none is."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.logs.logfiles import tail
from tests.managed_site import ManagedSite, managed_site, until
from tests.runners import ROOT

pytestmark = pytest.mark.processes

ECHO = ROOT / "examples" / "echo_agent.py"


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    with managed_site(fresh_database_url, tmp_path, MYAGENT_SUPERVISOR="auto") as site:
        yield site


def test_a_new_database_is_its_owner_s_alone(tmp_path: Path) -> None:
    database = tmp_path / "new.db"
    ManagedSite(f"sqlite:///{database}", tmp_path).services("list")
    assert [path.stat().st_mode & 0o077 for path in tmp_path.glob("new.db*")] == [0]


def test_a_command_starts_a_supervisor_that_leaves_when_it_is_done(site: ManagedSite) -> None:
    site.register("echo", ECHO)
    site.services("start", "echo")
    site.until_runs("echo")
    assert len(site.processes("supervise", "--automatic")) == 1
    site.services("stop", "echo")
    site.until_gone("echo")
    until(lambda: not site.processes("supervise"))


@pytest.mark.long
def test_the_log_of_a_supervisor_started_by_a_command_is_rotated(
    fresh_database_url: str, tmp_path: Path
) -> None:
    tuning = {"MYAGENT_SUPERVISOR": "auto", "MYAGENT_LOG_BYTES": "200", "MYAGENT_LOG_FILES": "50"}
    with managed_site(fresh_database_url, tmp_path, **tuning) as site:
        site.register("echo", ECHO)
        site.services("start", "echo")
        log = tmp_path / "var" / "logs" / "supervisor.log"
        until(log.with_name("supervisor.log.1").exists)
        site.services("stop", "echo")
        until(lambda: not site.processes("supervise"))
        said = "\n".join(tail(log, 1000))
    for event in ("supervising", "instance_launched", "instance_ready", "instance_left"):
        assert said.count(f'"event": "{event}"') == 1


def test_one_that_was_started_by_a_command_makes_room_for_a_person_s(site: ManagedSite) -> None:
    site.register("echo", ECHO)
    site.services("start", "echo")
    running = site.until_runs("echo")
    site.supervise()
    until(lambda: not site.processes("supervise", "--automatic"))
    assert site.until_runs("echo") == running


@pytest.mark.long
def test_after_a_person_s_supervisor_there_is_one_in_the_background_again(
    site: ManagedSite,
) -> None:
    site.register("echo", ECHO, "--auto-start")
    running = site.until_runs("echo")
    by_hand = site.supervise()
    until(lambda: not site.processes("supervise", "--automatic"))
    by_hand.send(signal.SIGTERM)
    assert by_hand.process.wait(60) == 0
    assert len(site.processes("supervise", "--automatic")) == 1
    assert site.until_runs("echo") == running


@pytest.mark.long
def test_what_is_asked_for_while_a_site_leaves_is_done_after_it(site: ManagedSite) -> None:
    slow = "import asyncio\n\nasync def agent(text):\n    await asyncio.sleep(1000)\n"
    serving = site.serve()
    site.register("slow", site.write("slow.py", slow), "--auto-start")
    site.ask(site.url(serving, "slow"), "hello")
    serving.send(signal.SIGINT)
    serving.wait_for_log("Stopping the services")
    site.register("echo", ECHO, "--auto-start")
    site.until_runs("echo")
    assert serving.process.wait(30) == 0
