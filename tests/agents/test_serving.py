"""Whom a server admits, and what it tells those that it does not."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError

from agents.directory import SingleService
from agents.runs.workers import Workers
from agents.runtime import schema
from agents.serving import ServerProcess
from agents.sessions.conversations import Conversations
from agents.transients import Problem
from myagent.protocol import CloseCode


class NoWorkers:
    """A feeder of a server that never comes so far."""

    def launch(self) -> None:
        pass

    async def start(self) -> None:
        raise AssertionError

    async def cease(self) -> None:
        pass

    async def stop(self) -> None:
        pass


async def test_who_connects_while_the_database_is_away_is_told_so_and_not_of_a_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError(2002, "Can't connect")

    monkeypatch.setattr(schema, "apply_pending", fail)
    server = ServerProcess(Conversations(SingleService("echo"), Workers()), NoWorkers())
    try:
        refusal = await server.admit(None)
    finally:
        await server.leave(0)
    assert refusal is not None
    assert (refusal.close_code, refusal.problem) == (
        CloseCode.NO_SERVICE_AVAILABLE,
        "storage_unavailable",
    )
    told = Problem("en", refusal.problem, refusal.sentence)
    assert told.text == "The database can't be used just now. Try again soon."
    assert told.is_retryable
