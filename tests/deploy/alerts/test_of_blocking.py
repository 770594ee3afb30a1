"""The alert about agents that block the event loop of their worker."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.deploy.alerts.watched import ODD, Watched
from tests.recording import Recorder

pytestmark = [pytest.mark.processes, pytest.mark.long]

CHECK_S = 4.0
"""Seconds between checks: a worker that misses six is replaced, and nothing is left to look at."""

BLOCKED_MS = 5_000


async def test_a_worker_whose_agent_blocks_its_loop(own: Watched) -> None:
    serving = own.serve(MYAGENT_HEALTH_INTERVAL_S=str(CHECK_S))
    own.register("blocking", ODD)
    prometheus = own.prometheus
    async with await Recorder.open(own.site.url(serving, "blocking")) as client:
        session = await client.create_session()
        await client.say(session, "blocks 3600")
        alert = await prometheus.fires("MyAgentWorkerLags", service="blocking")
        assert alert.summary == "A worker of blocking is blocked"
        said = await asyncio.to_thread(own.carry_out, alert)
        assert "loop lag ms" in said
        health = await asyncio.to_thread(own.site.services, "health", "blocking", "--json")
    (worker,) = json.loads(health)["instances"]
    assert worker["loop_lag_ms"] > BLOCKED_MS
