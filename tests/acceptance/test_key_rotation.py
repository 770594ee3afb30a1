"""SECRET_KEY is changed while a site serves: no worker is lost, no variable, no login."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.test_far_workers import Far, answer
from tests.managed_site import Command, ManagedSite, managed_site

pytestmark = pytest.mark.processes

OLD = "qmCwcQvYEI6oFh0hYl8cGq2v4m0Jw1c1Yx8vXh3d0mM2uN9pLkT7sRzA5bE"
NEW = "Zt5xJ1f0wB8rVn3kD6yPq9sLm2aCg7hUe4iTo0RzXvKbNcQWdMjHfGpSyEA"

AGENT = """
import os

async def agent(text):
    return f"{os.environ['LLM_X']} {os.getpid()}"
"""


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    with managed_site(fresh_database_url, tmp_path, SECRET_KEY=OLD) as site:
        site.register("far", site.write("far.py", AGENT), "--env", "LLM_X=s3cret")
        site.services("start", "far", "--no-wait", expect=1)
        yield site


def keys(site: ManagedSite, key: str, *others: str) -> None:
    """What is started from now on has these."""
    site.environment |= {"SECRET_KEY": key, "SECRET_KEY_FALLBACKS": ",".join(others)}


async def until_answered_by(site: ManagedSite, serving: Command, pids: set[int]) -> None:
    """Both have answered at the server, each with the service's variable."""
    seen: set[int] = set()
    async with asyncio.timeout(60):
        while not seen >= pids:
            secret, pid = (await answer(site.url(serving, "far"), "who?")).split()
            assert secret == "s3cret"
            seen.add(int(pid))


@pytest.mark.both_databases(when_long=True)
async def test_servers_and_workers_of_both_keys_work_together_until_the_former_is_given_up(
    site: ManagedSite,
) -> None:
    def serve() -> Command:
        return site.serve(MYAGENT_SUPERVISOR="external")

    def far(number: int) -> Far:
        return Far(site, "far", number).ready()

    keys(site, OLD, NEW)
    first, old = await asyncio.to_thread(serve), await asyncio.to_thread(far, 2)
    keys(site, NEW, OLD)
    second, new = await asyncio.to_thread(serve), await asyncio.to_thread(far, 3)
    for serving in (first, second):
        await until_answered_by(site, serving, {old.pids[-1], new.pids[-1]})

    said = await asyncio.to_thread(site.services, "reencrypt")
    assert said == "Encrypted anew: 1; under the present key already: 0.\n"
    said = await asyncio.to_thread(site.services, "reencrypt")
    assert said == "Encrypted anew: 0; under the present key already: 1.\n"
    await asyncio.to_thread(old.command.stop)
    await asyncio.to_thread(first.stop)

    keys(site, NEW)
    third, newest = await asyncio.to_thread(serve), await asyncio.to_thread(far, 4)
    await until_answered_by(site, third, {new.pids[-1], newest.pids[-1]})


@pytest.mark.both_databases(when_long=True)
def test_variables_that_no_known_key_opens_are_named_and_left(site: ManagedSite) -> None:
    read = "SELECT environment FROM services_service"
    before = site.query(read)
    keys(site, NEW)
    said = site.services("reencrypt", expect=1)
    assert "opens the variables of: far." in said
    assert site.query(read) == before
    keys(site, NEW, OLD)
    assert "Encrypted anew: 1;" in site.services("reencrypt")
    assert site.query(read) != before
