"""The alert about servers that show late what others do."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.deploy.alerts.watched import ECHO, PATIENT, Watched, drowsy, talkers
from tests.recording import Recorder

pytestmark = pytest.mark.processes

CLIENTS = 12


async def test_a_server_that_is_late_with_what_others_do(own: Watched) -> None:
    own.site.supervise()
    owner, follower = own.serve(**PATIENT), own.serve(**PATIENT)
    own.register("echo", ECHO)
    prometheus = own.prometheus
    async with AsyncExitStack() as clients:
        sessions = await clients.enter_async_context(
            talkers(own.site.url(owner, "echo"), CLIENTS)
        )
        for session in sessions:
            onlooker = await Recorder.open(own.site.url(follower, "echo"))
            await clients.enter_async_context(onlooker)
            await onlooker.reconnect(session)
        await clients.enter_async_context(drowsy(follower))
        alert = await asyncio.to_thread(prometheus.until_firing, "MyAgentFollowersLate")
    assert "see what other servers do" in alert.summary
