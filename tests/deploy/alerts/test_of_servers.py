"""Alerts about servers: one that is gone, without a supervisor, with more to do than it can."""

from __future__ import annotations

import pytest

from tests.deploy.alerts.watched import ECHO, PATIENT, Watched, drowsy

pytestmark = [pytest.mark.processes, pytest.mark.long]


def test_a_server_that_is_killed(own: Watched) -> None:
    lost, other = own.serve(), own.serve()
    prometheus = own.prometheus
    lost.kill()
    alert = prometheus.until_firing("MyAgentServerDown")
    assert alert.labels["instance"] in alert.summary
    assert prometheus.names() == {"MyAgentServerDown"}
    assert len(prometheus.query('up{job="myagent"} == 1')) == 1
    assert other.process.poll() is None


def test_a_site_without_a_supervisor(own: Watched) -> None:
    supervisor = own.site.supervise()
    own.serve(MYAGENT_SUPERVISOR="external")
    own.register("echo", ECHO)
    prometheus = own.prometheus
    supervisor.kill()
    alert = prometheus.until_firing("MyAgentNotSupervised")
    assert prometheus.names() == {"MyAgentNotSupervised"}
    assert ["supervise"] in alert.commands
    assert own.site.workers("echo")
    own.site.supervise()
    prometheus.until_quiet("MyAgentNotSupervised")


async def test_a_server_that_does_not_get_its_processor(own: Watched) -> None:
    server = own.serve(**PATIENT)
    prometheus = own.prometheus
    async with drowsy(server):
        alert = await prometheus.fires("MyAgentLoopLags")
    assert alert.summary.endswith("has more to do than it can")
