"""The alert about traces that could not be recorded."""

from __future__ import annotations

import re

import pytest

from tests.deploy.alerts.watched import ECHO, Watched, talkers

pytestmark = [pytest.mark.processes, pytest.mark.long]


async def test_a_table_of_traces_that_is_missing(own: Watched) -> None:
    serving = own.serve()
    own.register("echo", ECHO)
    prometheus = own.prometheus
    own.site.execute("ALTER TABLE traces_span RENAME TO away")
    async with talkers(own.site.url(serving, "echo"), 1):
        alert = await prometheus.fires("MyAgentTracesNotRecorded")
    own.site.execute("ALTER TABLE away RENAME TO traces_span")
    assert re.search(r" failed [1-9]\d* times to record traces$", alert.summary)
    assert any(word in serving.log for word in re.findall(r"`(\w+)`", alert.action))
    assert prometheus.names() == {"MyAgentTracesNotRecorded"}
