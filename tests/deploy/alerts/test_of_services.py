"""Alerts about services whose workers end: each names the service that has the fault."""

from __future__ import annotations

import psutil
import pytest

from tests.deploy.alerts.watched import ECHO, Watched

pytestmark = [pytest.mark.processes, pytest.mark.long]

FAILURES = 3


def test_a_service_whose_file_can_not_be_loaded(watched: Watched) -> None:
    site, prometheus = watched.site, watched.prometheus
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
