"""A site that is well alarms nobody."""

from __future__ import annotations

import asyncio
import re

import psutil
import pytest

from tests.deploy.alerts.watched import ECHO, Watched, onlookers, talkers
from tests.deploy.rules import TIMES_FASTER, alerts
from tests.fake_model_control import FakeModelControl

pytestmark = [pytest.mark.processes, pytest.mark.long]

CLIENTS = 3
LONGEST_S = 15 * 60 / TIMES_FASTER
"""The longest window of a rule."""

TOOL = '[[tool add {"a": 1, "b": 2}]] hello'


async def test_all_alerts_are_quiet_at_a_site_that_is_well(
    own: Watched, model: FakeModelControl
) -> None:
    """Through turns at two servers, tools, a death, and a restart."""
    servers = [own.serve(), own.serve(MYAGENT_SUPERVISOR="external")]
    own.site.register("echo", ECHO, "--auto-start", "--replicas=2")
    one, _ = own.site.until_runs("echo", 2)
    own.register_with_model("tools", model)
    echo, elsewhere = (own.site.url(server, "echo") for server in servers)
    tools = own.site.url(servers[0], "tools")
    prometheus = own.prometheus
    async with (
        talkers(echo, CLIENTS) as sessions,
        talkers(tools, CLIENTS, TOOL),
        onlookers(elsewhere, sessions),
    ):
        begun_at = prometheus.value("time()")
        psutil.Process(one).kill()
        await asyncio.to_thread(own.site.until_runs, "echo", 2, not_as={one})
        await asyncio.to_thread(own.site.services, "restart", "echo")
        await asyncio.to_thread(prometheus.until_time, begun_at + LONGEST_S)
    assert prometheus.query('count_over_time(ALERTS{alertstate="firing"}[1h])') == []
    for alert in alerts():
        for name in re.findall(r"\bmyagent_\w+", alert["expr"]):
            assert prometheus.query(f"count_over_time({name}[1h])"), f"nothing is told of {name}"
    assert prometheus.rule_errors() == []
