"""What agent code forked ends with the runner, however that ends, and stands in nobody's way."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import pytest

from tests.crash.conftest import Site
from tests.crash.workers import is_there, kill_worker, until_gone
from tests.recording import Recorder
from tests.runners import Runner


async def forked(runner: Runner, how: str = "stay") -> int:
    """A child of the agent that lives."""
    async with await Recorder.open(runner.url) as client:
        answer = await client.ask(await client.create_session(), how)
    child = int(answer["content"])
    assert is_there(child)
    return child


@pytest.mark.parametrize("end", [Runner.kill, Runner.stop])
async def test_a_child_of_the_agent_ends_with_the_runner(
    site: Site, end: Callable[[Runner], object]
) -> None:
    runner = await site.start("forks.py")
    child = await forked(runner)
    await asyncio.to_thread(end, runner)
    await until_gone(child)


async def test_a_child_of_the_agent_ends_with_its_worker(site: Site) -> None:
    runner = await site.start("forks.py")
    child = await forked(runner)
    await kill_worker(runner)
    await until_gone(child)
    assert runner.process.poll() is None


async def test_a_child_that_left_for_good_does_not_hold_the_port_of_a_killed_runner(
    site: Site,
) -> None:
    runner = await site.start("forks.py")
    child = await forked(runner, "leave")
    try:
        runner.kill()
        assert is_there(child)
        heir = await site.start("forks.py", port=runner.port)
        async with await Recorder.open(heir.url) as client:
            await client.create_session()
    finally:
        os.kill(child, signal.SIGKILL)
