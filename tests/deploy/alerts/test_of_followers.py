"""The alert about servers that show late what others do."""

from __future__ import annotations

import pytest

from tests.deploy.alerts.watched import ECHO, PATIENT, Watched, drowsy, onlookers, talkers

pytestmark = [pytest.mark.processes, pytest.mark.long]

CLIENTS = 12


async def test_a_server_that_is_late_with_what_others_do(own: Watched) -> None:
    owner = own.serve(MYAGENT_LEASE_S=PATIENT["MYAGENT_LEASE_S"])
    follower = own.serve(**PATIENT)
    own.register("echo", ECHO)
    prometheus = own.prometheus
    async with (
        talkers(own.site.url(owner, "echo"), CLIENTS) as sessions,
        onlookers(own.site.url(follower, "echo"), sessions),
        drowsy(follower),
    ):
        alert = await prometheus.fires("MyAgentFollowersLate")
    assert "see what other servers do" in alert.summary
