"""The alert about messages that wait for the run before them."""

from __future__ import annotations

import asyncio

import pytest

from tests.deploy.alerts.watched import Watched
from tests.fake_model_control import FakeModelControl
from tests.recording import Recorder

pytestmark = [pytest.mark.processes, pytest.mark.long]

WAITING = 60


async def test_a_client_that_sends_more_than_can_be_answered(
    watched: Watched, model: FakeModelControl
) -> None:
    site, prometheus = watched.site, watched.prometheus
    watched.register_with_model("flooded", model)
    async with await Recorder.open(site.url(site.commands[0], "flooded")) as client:
        session = await client.create_session()
        for number in range(WAITING):
            await client.say(session, f"[[hold flood]] {number}")
        alert = await prometheus.fires("MyAgentMessagesWait", service="flooded")
        assert alert.summary == f"{WAITING - 1} messages to flooded wait for the run before them"
        assert session in watched.carry_out(alert)
        assert prometheus.names() == {"MyAgentMessagesWait"}
        await model.release("flood")
        await asyncio.to_thread(prometheus.until_quiet, "MyAgentMessagesWait")
