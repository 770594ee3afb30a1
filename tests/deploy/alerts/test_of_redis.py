"""The alert about a Redis that is away."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import need
from tests.deploy.alerts.watched import ECHO, watched_site
from tests.servers import Redis

pytestmark = [pytest.mark.processes, pytest.mark.long]


def test_a_redis_that_is_stopped(fresh_database_url: str, tmp_path: Path) -> None:
    need(Redis)
    with (
        Redis() as redis,
        watched_site(fresh_database_url, tmp_path, REDIS_URL=redis.url) as watched,
    ):
        watched.serve()
        watched.register("echo", ECHO)
        prometheus = watched.prometheus
        redis.kill()
        alert = prometheus.until_firing("MyAgentRedisDown")
        said = watched.carry_out(alert, expect=1)
        assert re.search(r"problem\W+redis\b", said), said
        redis.start()
        prometheus.until_quiet("MyAgentRedisDown")
