"""What is counted of commits, and what a counter that fails costs."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from agents.log import counting
from agents.log.journal import Journal
from agents.log.writes import Facts, NextAttempt, Write
from tests.agents.logs import created, logged, new_server
from tests.recording import PATIENCE_S

SERVICE = f"counted {uuid4()}"


def value(name: str) -> float:
    return REGISTRY.get_sample_value(name, {"service": SERVICE}) or 0.0


def next_attempt(number: int) -> Write:
    return Write("session", 1, continues=NextAttempt("run", number), facts=Facts(SERVICE, "", None))


def test_a_run_that_was_only_written_down_starts_and_an_interrupted_one_continues() -> None:
    counting.count_commit(0.01, [next_attempt(1), next_attempt(2), next_attempt(3)])
    assert value("myagent_runs_started_total") == 1
    assert value("myagent_run_continuations_total") == 2


@pytest.mark.django_db(transaction=True)
async def test_the_log_is_written_on_whatever_a_counter_raises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(write: Write) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(counting, "observers", [fail])
    journal = Journal()
    journal.start()
    server_id = await asyncio.to_thread(new_server)
    for _ in range(2):
        write = created(server_id)
        async with asyncio.timeout(PATIENCE_S):
            await journal.write(write)
        assert len(await asyncio.to_thread(logged, write.session_id)) == 1
    await journal.stop()
