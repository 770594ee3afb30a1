"""The order of tests: quick ones first."""

from __future__ import annotations

from enum import IntEnum

import pytest

WITH_PROCESSES = frozenset({"acceptance", "attacks", "browser", "crash"})


class Cost(IntEnum):
    QUICK = 0
    DATABASE = 1
    PROCESSES = 2


def cost_of(item: pytest.Item) -> Cost:
    if item.get_closest_marker("processes") or not WITH_PROCESSES.isdisjoint(item.path.parts):
        return Cost.PROCESSES
    fixtures = getattr(item, "fixturenames", ())
    needs_database = item.get_closest_marker("django_db") is not None or "db" in fixtures
    return Cost.DATABASE if needs_database else Cost.QUICK
