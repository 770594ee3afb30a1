"""What a chat makes of a service that takes nothing: what is said again, and how long it waits."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agents.terminal.patience import Patience
from agents.terminal.repeats import Repeats
from myagent.client import (
    ConnectionChanged,
    ConnectionState,
    Event,
    GaveUp,
    MessageAccepted,
    Notice,
    ServerError,
    SessionCreated,
    SessionResumed,
)
from myagent.protocol.server_events import Connected

STOPPED = Notice(event="system.notice", content="It does not run.", code="service_stopped")
STARTED = Notice(event="system.notice", content="It runs.", code="service_started")
REFUSED = ServerError(event="system.error", content="Not now.", code="service_unavailable")
LOST = ConnectionChanged(state=ConnectionState.RECONNECTING, reason="Not now.")
AWAY = ConnectionChanged(
    state=ConnectionState.RECONNECTING,
    reason="It does not run.",
    code="service_unavailable",
    close_code=4013,
)
BACK = ConnectionChanged(state=ConnectionState.CONNECTED)
HELLO = Connected(event="system.connected")
TAKEN = MessageAccepted(event="user.message", message_id="m")


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([REFUSED, REFUSED, REFUSED], [REFUSED]),
        ([STOPPED, LOST, HELLO, STOPPED, LOST], [STOPPED, LOST, HELLO]),
        ([REFUSED, TAKEN, REFUSED], [REFUSED, TAKEN, REFUSED]),
        ([LOST, BACK, LOST], [LOST, BACK, LOST]),
        ([STOPPED, STARTED], [STOPPED, STARTED]),
    ],
)
def test_a_sentence_is_said_once_until_something_else_happens(
    events: list[Event], said: list[Event]
) -> None:
    repeats = Repeats()
    assert [event for event in events if not repeats.is_repeat(event)] == said


def test_a_key_is_something_else() -> None:
    repeats = Repeats()
    assert not repeats.is_repeat(REFUSED)
    repeats.forget()
    assert not repeats.is_repeat(REFUSED)


@pytest.mark.parametrize("stopped", [STOPPED, AWAY], ids=["here", "elsewhere"])
async def test_patience_ends_with_what_the_service_said(stopped: Event) -> None:
    patience = Patience(0.01)
    patience.follow(stopped)
    patience.follow(HELLO)
    with pytest.raises(GaveUp, match=r"Gave up after 0\.01 seconds\. It does not run\."):
        await patience.end()


@pytest.mark.parametrize(
    "lost",
    [LOST, replace(AWAY, close_code=4012), replace(AWAY, code="storage_unavailable")],
    ids=["a network", "a server that leaves", "a database"],
)
async def test_what_comes_back_by_itself_is_waited_for(lost: Event) -> None:
    patience = Patience(0.0)
    patience.follow(lost)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await patience.end()


async def test_a_conversation_that_is_resumed_elsewhere_is_waited_for() -> None:
    patience = Patience(0.01)
    patience.follow(AWAY)
    patience.follow(SessionResumed(event="agent.session_resumed"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await patience.end()


@pytest.mark.parametrize("event", [STARTED, SessionCreated(event="agent.session_created"), TAKEN])
async def test_a_service_that_runs_or_has_taken_the_message_is_waited_for(event: Event) -> None:
    patience = Patience(0.0)
    patience.follow(STOPPED)
    patience.follow(event, "m")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await patience.end()


async def test_nor_does_it_matter_that_the_service_is_stopped_after_that() -> None:
    patience = Patience(0.0)
    patience.follow(TAKEN, "m")
    patience.follow(STOPPED, "m")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await patience.end()
