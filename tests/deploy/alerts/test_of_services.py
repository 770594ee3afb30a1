"""Alerts about workers: each fires while its fault lasts, and names the service that has it."""

from __future__ import annotations

import asyncio
import json

import psutil
import pytest

from tests.deploy.alerts.watched import ECHO, ODD, Watched
from tests.recording import Recorder

pytestmark = pytest.mark.processes

FAILURES = 3
BLOCKED_MS = 5_000


def test_a_service_whose_file_can_not_be_loaded(watched: Watched) -> None:
    site, prometheus = watched.site, watched.prometheus
    watched.register("well", ECHO)
    broken = site.write("broken.py", "def agent(text:\n")
    site.register("broken", broken)
    site.services("start", "broken", expect=None)
    alert = prometheus.until_firing("MyAgentServiceDown", service="broken")
    assert alert.summary == "broken is to run and has no worker"
    said = watched.carry_out(alert)
    assert "broken.py" in said
    assert "line 1" in said
    broken.write_text(ECHO.read_text())
    site.services("start", "broken")
    prometheus.until_quiet("MyAgentServiceDown", service="broken")
    assert not prometheus.firing("MyAgentServiceDown")


def test_a_worker_that_dies_again_and_again(watched: Watched) -> None:
    site, prometheus = watched.site, watched.prometheus
    watched.register("mortal", ECHO, "--restart-delay=0.1")
    pids: set[int] = set()
    for _ in range(FAILURES):
        (pid,) = site.until_runs("mortal", not_as=pids)
        pids.add(pid)
        psutil.Process(pid).kill()
    alert = prometheus.until_firing("MyAgentWorkersFail", service="mortal")
    assert alert.summary == f"Workers of mortal failed {FAILURES} times within an hour"
    assert watched.carry_out(alert).count("It was killed by signal 9 (SIGKILL)") == FAILURES


async def test_a_worker_whose_agent_blocks_its_loop(watched: Watched) -> None:
    site, prometheus = watched.site, watched.prometheus
    watched.register("blocking", ODD)
    async with await Recorder.open(site.url(site.commands[0], "blocking")) as client:
        session = await client.create_session()
        await client.say(session, "blocks 3600")
        alert = await asyncio.to_thread(
            prometheus.until_firing, "MyAgentWorkerLags", service="blocking"
        )
    assert alert.summary == "A worker of blocking is blocked"
    assert "loop lag ms" in watched.carry_out(alert)
    (worker,) = json.loads(site.services("health", "blocking", "--json"))["instances"]
    assert worker["loop_lag_ms"] > BLOCKED_MS
