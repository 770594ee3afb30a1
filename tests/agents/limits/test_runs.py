"""What is at work at other servers is asked for no more often than a limit needs."""

from __future__ import annotations

from typing import Any

import pytest

from agents.limits import runs as module
from agents.limits.runs import NEAR, RunsAtOnce
from agents.runtime.database import DatabaseThreads


@pytest.mark.parametrize(("limit", "looks"), [(NEAR, []), (NEAR + 1, ["all"])])
async def test_only_above_a_small_limit_the_whole_site_is_looked_at(
    settings: Any, monkeypatch: pytest.MonkeyPatch, limit: int, looks: list[str]
) -> None:
    asked: list[str] = []

    def look(server_id: str) -> dict[str, int]:
        asked.append("all")
        return {}

    monkeypatch.setattr(module, "_all_elsewhere", look)
    monkeypatch.setattr(module, "_count_elsewhere", lambda principal, server_id: 3)
    settings.MYAGENT_RUNS_AT_ONCE = limit
    database = DatabaseThreads()
    try:
        found = await RunsAtOnce(database, lambda: "here").elsewhere("user:1")
    finally:
        await database.stop()
    assert (found, asked) == (0 if looks else 3, looks)
