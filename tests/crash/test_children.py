"""What agent code forked outlives a killed runner, and stands in nobody's way."""

from __future__ import annotations

import os
import signal

from tests.crash.conftest import Site
from tests.recording import Recorder


async def test_a_child_of_a_killed_runner_does_not_hold_its_port(site: Site) -> None:
    runner = await site.start("forks.py")
    async with await Recorder.open(runner.url) as client:
        answer = await client.ask(await client.create_session(), "fork")
    child = int(answer["content"])
    try:
        runner.kill()
        os.kill(child, 0)  # it is alive
        heir = await site.start("forks.py", port=runner.port)
        async with await Recorder.open(heir.url) as client:
            await client.create_session()
    finally:
        os.kill(child, signal.SIGKILL)
