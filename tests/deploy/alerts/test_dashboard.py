"""No panel of the dashboard stays empty beside a site where things happen."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import AsyncExitStack

import psutil
import pytest

from tests.deploy.alerts.watched import Watched, onlookers, talkers
from tests.deploy.dashboard import filled, panels
from tests.deploy.prometheus import Prometheus
from tests.fake_model_control import FakeModelControl
from tests.managed_site import until
from tests.recording import NOBODYS, Recorder

pytestmark = pytest.mark.processes

PRICE = (
    "INSERT INTO traces_price (model, valid_from, prompt, completion) "
    "VALUES ('fake', '2026-01-01 00:00:00', 1000, 1000)"
)
TOOL = '[[tool add {"a": 1, "b": 2}]] hello'


def empty(prometheus: Prometheus) -> list[str]:
    """The queries that have no number to show, by their panels."""
    return [
        f"{title}: {query}"
        for title, query in panels()
        if not any(
            math.isfinite(float(each["value"][1])) for each in prometheus.query(filled(query))
        )
    ]


async def happen(clients: AsyncExitStack, own: Watched, urls: Sequence[str]) -> None:
    """Turns that others see, errors, refusals, and a worker that dies at its work."""
    sessions = await clients.enter_async_context(talkers(urls[0], 1, TOOL))
    await clients.enter_async_context(talkers(urls[0], 1, "[[status 400]] hello"))
    await clients.enter_async_context(onlookers(urls[1], sessions))
    cut_off = await clients.enter_async_context(await Recorder.open(urls[0]))
    await cut_off.say(NOBODYS, "hello")
    await cut_off.error("unknown_session")
    (pid,) = own.site.until_runs("tools")
    session = await cut_off.create_session()
    await cut_off.say(session, "[[chunks=20 delay_ms=100]] hello")
    await cut_off.until("agent.partial_answer")
    psutil.Process(pid).kill()
    await cut_off.until("agent.final_answer")


async def test_every_panel_has_something_to_show(own: Watched, model: FakeModelControl) -> None:
    own.site.execute(PRICE)
    servers = [own.serve(), own.serve(MYAGENT_SUPERVISOR="external")]
    own.register_with_model("tools", model)
    prometheus = own.prometheus
    async with AsyncExitStack() as clients:
        await happen(clients, own, [own.site.url(server, "tools") for server in servers])
        left = await asyncio.to_thread(until_full, prometheus)
    assert left == []


def until_full(prometheus: Prometheus) -> list[str]:
    """What is still empty when all has had its time."""
    try:
        until(lambda: not empty(prometheus))
    except AssertionError:
        return empty(prometheus)
    return []
