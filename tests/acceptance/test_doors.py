"""Four doors, one set of verbs: after each, the operating system is asked what runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import psutil
import pytest
import requests

from tests.managed_site import PATIENCE_S, Command, ManagedSite, managed_site, until
from tests.runners import ROOT

pytestmark = pytest.mark.processes

FORKS = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])

async def agent(text):
    return text
"""

Ask = Callable[[str], None]


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    with managed_site(fresh_database_url, tmp_path) as site:
        yield site


@pytest.fixture
def serving(site: ManagedSite) -> Command:
    return site.serve()


def address_of(serving: Command) -> str:
    found = re.search(r"ready at (http://\S+)/", serving.log)
    assert found
    return found[1]


def by_command(site: ManagedSite, serving: Command) -> Ask:
    def ask(verb: str) -> None:
        site.services(verb, "forks")

    return ask


def by_rest(site: ManagedSite, serving: Command) -> Ask:
    def ask(verb: str) -> None:
        answer = requests.post(
            f"{address_of(serving)}/api/v1/services/forks/{verb}?wait=30",
            json={},
            timeout=PATIENCE_S,
        )
        assert answer.status_code == 200, answer.text

    return ask


def by_admin(site: ManagedSite, serving: Command) -> Ask:
    base = address_of(serving)
    password = re.search(r"password (\S+)", serving.log)
    assert password
    browser = requests.Session()

    def post(path: str, **fields: str) -> requests.Response:
        browser.get(f"{base}/admin/login/", timeout=PATIENCE_S)
        token = browser.cookies["myagent_csrf"]
        form = {"csrfmiddlewaretoken": token, **fields}
        return browser.post(base + path, data=form, timeout=PATIENCE_S)

    post("/admin/login/", username="admin", password=password[1])

    def ask(verb: str) -> None:
        address = f"/admin/services/service/{site.service('forks')['id']}/{verb}/"
        answer = post(address)
        if verb == "stop":
            assert "Stop this service?" in answer.text
            assert site.service("forks")["desired"] == "running"
            answer = post(address, post="yes")
        assert answer.ok and "'forks' is " in unescape(answer.text)

    return ask


def by_python(site: ManagedSite, serving: Command) -> Ask:
    code = """
import asyncio, sys
from myagent.manager import AgentManager

async def main():
    async with AgentManager() as manager:
        await getattr(manager, sys.argv[1] + "_service")("forks")

asyncio.run(main())
"""

    def ask(verb: str) -> None:
        subprocess.run(
            [sys.executable, "-c", code, verb],
            cwd=ROOT,
            env=site.environment,
            check=True,
            timeout=PATIENCE_S * 2,
        )

    return ask


WHEN_LONG = pytest.mark.long
"""For doors through which other tests of real processes go all the time."""


@pytest.mark.parametrize(
    "door",
    [
        by_rest,
        by_admin,
        pytest.param(by_command, marks=WHEN_LONG),
        pytest.param(by_python, marks=WHEN_LONG),
    ],
)
def test_what_a_door_says_is_so(
    site: ManagedSite, serving: Command, door: Callable[[ManagedSite, Command], Ask]
) -> None:
    site.register("forks", site.write("forks.py", FORKS))
    ask = door(site, serving)
    ask("start")
    (first,) = site.until_runs("forks")
    until(lambda: len(group(first)) == 2)
    ask("restart")
    (second,) = site.until_runs("forks", not_as={first})
    until(lambda: not group(first))
    until(lambda: len(group(second)) == 2)
    ask("stop")
    until(lambda: not group(second))
    until(lambda: not psutil.pid_exists(second))
    site.until_status("forks", "stopped")


def group(leader: int) -> list[int]:
    """The process group, as the operating system has it."""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.Error):
            continue
    return found
