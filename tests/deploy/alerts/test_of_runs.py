"""Alerts about what clients wait for, and do not get."""

from __future__ import annotations

import pytest

from tests.deploy.alerts.watched import Watched, talkers
from tests.fake_model_control import FakeModelControl

pytestmark = [pytest.mark.processes, pytest.mark.long]

CLIENTS = 6
SLOW = "[[chunks=2 delay_ms=2000]] hello"


def url_of(watched: Watched, service: str) -> str:
    return watched.site.url(watched.site.commands[0], service)


async def test_a_model_that_refuses(watched: Watched, model: FakeModelControl) -> None:
    watched.register_with_model("refused", model)
    async with talkers(url_of(watched, "refused"), CLIENTS, "[[status 400]] hello"):
        alert = await watched.prometheus.fires("MyAgentRunsFail", service="refused")
    assert alert.summary.endswith("% of the runs of refused fail")
    assert "failed" in watched.carry_out(alert)
    codes = watched.prometheus.query('myagent_run_errors_total{service="refused"}')
    assert [each["metric"]["code"] for each in codes] == ["model_error"]


async def test_a_model_that_is_slow_to_begin(watched: Watched, model: FakeModelControl) -> None:
    watched.register_with_model("slow", model)
    async with talkers(url_of(watched, "slow"), 2 * CLIENTS, SLOW):
        alert = await watched.prometheus.fires("MyAgentModelSlow", service="slow")
    assert alert.summary.startswith("The model of slow takes 2")
    assert alert.summary.endswith("s to begin")
    assert not watched.prometheus.firing("MyAgentRunsFail", service="slow")
