"""What `/health` says of a site one of whose agents is ill, and how the others fare."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import requests

from tests.managed_site import PATIENCE_S, Command, ManagedSite, managed_site
from tests.recording import Recorder

pytestmark = pytest.mark.processes

ODD = Path(__file__).parents[1] / "agent_files" / "odd.py"
POLL_S = 0.1


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    with managed_site(fresh_database_url, tmp_path) as site:
        yield site


@pytest.fixture
async def serving(site: ManagedSite) -> AsyncIterator[Command]:
    serving = await asyncio.to_thread(site.serve)
    for name in ("blocked", "well"):
        await asyncio.to_thread(site.register, name, ODD, "--auto-start")
    for name in ("blocked", "well"):
        await asyncio.to_thread(site.until_runs, name)
    yield serving


async def health(serving: Command) -> requests.Response:
    address = re.search(r"ready at (http://\S+)/", serving.log)
    assert address
    return await asyncio.to_thread(requests.get, f"{address[1]}/health", timeout=PATIENCE_S)


async def until_status(serving: Command, status: str) -> requests.Response:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await health(serving)
            if answer.json()["status"] == status:
                return answer
            await asyncio.sleep(POLL_S)


async def test_an_agent_that_blocks_its_loop_degrades_the_site_which_works_for_the_others(
    site: ManagedSite, serving: Command, tmp_path: Path
) -> None:
    assert (await until_status(serving, "healthy")).json()["unhealthy_services"] == []
    async with await Recorder.open(site.url(serving, "blocked")) as blocked:
        await blocked.say(await blocked.create_session(), "blocks 600")
        await blocked.until("agent.partial_answer")
        answer = await until_status(serving, "degraded")
        assert answer.status_code == 200
        assert answer.json()["unhealthy_services"] == ["blocked"]
        assert answer.json()["agent_stuck_for_s"] > 0
        async with await Recorder.open(site.url(serving, "well")) as well:
            end = await well.ask(await well.create_session(), "says hi")
            assert end["content"] == "You said: hi"
        (worker,) = site.workers("blocked")
        worker.kill()
        await until_status(serving, "healthy")
