"""What went wrong with a service's worker is in the service's log, and told once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from myagent.client import RunFailed, connect
from tests.managed_site import ManagedSite, managed_site, until

pytestmark = pytest.mark.processes

FAILS = """
async def agent(text):
    raise LookupError(f"no {text} here")
"""
CRASHES = """
import os, signal

async def agent(text):
    os.kill(os.getpid(), int(text))
    return "not reached"
"""


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    with managed_site(fresh_database_url, tmp_path) as site:
        yield site


async def failure_of(url: str, text: str) -> str:
    async with connect(url) as client:
        events = [event async for event in client.ask(text)]
    assert isinstance(events[-1], RunFailed)
    return events[-1].content


def test_the_traceback_of_a_run_that_failed_is_in_the_service_s_log_and_in_no_other(
    site: ManagedSite,
) -> None:
    serving = site.serve()
    site.register("fails", site.write("fails.py", FAILS), "--auto-start")
    error = asyncio.run(failure_of(site.url(serving, "fails"), "weather"))
    assert "Its log has the details" in error
    said = site.services("logs", "fails")
    assert said.count("Traceback") == 1
    assert "LookupError: no weather here" in said
    assert "fails.py" in said
    serving.wait_for_log("LookupError: no weather here")
    assert "Traceback" not in serving.log


def test_how_a_worker_died_is_in_its_log_and_in_the_error(site: ManagedSite) -> None:
    serving = site.serve()
    file = site.write("crashes.py", CRASHES)
    site.register("crashes", file, "--auto-start", "--no-auto-restart")
    site.ask(site.url(serving, "crashes"), "11")
    service = site.until_status("crashes", "error")
    assert service["error_message"].startswith("It was killed by signal 11 (SIGSEGV).")
    assert "ended by signal 11 (SIGSEGV)" in site.services("logs", "crashes")
    rows = site.services("status", "crashes").splitlines()
    assert any("SIGSEGV" in row for row in rows if "\terror\t" in row)


@pytest.mark.long
def test_a_stop_is_in_the_log_too(site: ManagedSite) -> None:
    site.supervise()
    site.register("crashes", site.write("crashes.py", CRASHES), "--auto-start")
    site.services("stop", "crashes")
    assert "ended with status 0" in site.services("logs", "crashes")


def test_a_file_that_can_not_be_loaded_is_said_once(site: ManagedSite) -> None:
    site.supervise()
    site.register("broken", site.write("broken.py", "import nothing_like_it\n"))
    said = site.services("start", "broken", expect=1)
    assert said.count("nothing_like_it") == 1, said
    assert "The last lines of its log" not in said
    assert "broken failed: " in said
    assert "failed: The last" not in said


@pytest.mark.long
def test_what_is_printed_while_a_file_loads_is_rotated(
    fresh_database_url: str, tmp_path: Path
) -> None:
    limit = 100_000
    loads_long = "import time\nfor _ in range(4000):\n    print('x' * 1000, flush=True)\n"
    with managed_site(fresh_database_url, tmp_path) as site:
        site.environment |= {"MYAGENT_LOG_BYTES": str(limit), "MYAGENT_LOG_FILES": "1"}
        site.supervise()
        file = site.write("loads_long.py", loads_long + "time.sleep(1000)\n")
        site.register("loads", file, "--auto-start", "--no-wait")
        logs = tmp_path / "var" / "logs"
        until(lambda: any(log.stat().st_size for log in logs.rglob("*.log.1")), "a rotated log")
        until(lambda: all(log.stat().st_size < limit for log in logs.rglob("*/*.log")), "room")
        site.services("stop", "loads", "--no-wait")
