"""What programs ask of sessions, and how it went. All of it raises `Refused`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from asgiref.sync import sync_to_async

from agents.calls.call import WaitingCall
from agents.calls.stream import Stream
from agents.log import reading
from agents.log.entry import Logged
from agents.ports import Refused
from agents.principals import key_of
from agents.sessions.feedback import says
from myagent.protocol import (
    TERMINAL_EVENTS,
    Cancel,
    CloseSession,
    CreateSession,
    Feedback,
    UserMessage,
)

LOGGED_S = 20.0
"""Seconds for which a request waits until what it asks for is in the log."""

ENDED_S = 30.0
"""Seconds that the runs of a session have to end; they have less, see `Execution`."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message in the log. `end`: its end, None if it is still on its way."""

    echo: Logged
    end: Logged | None


async def create(call: WaitingCall, event: CreateSession) -> str:
    """Starts a session; its id, once it is in the log."""
    with call.waits_for(_of_kind("agent.session_created")) as created:
        await call.host.port.create(call, event)
        return (await _in_time(created, LOGGED_S)).session_id


async def ask(call: WaitingCall, event: UserMessage, wait_s: float) -> Accepted:
    """Sends a message, which has an id, and waits for its end.

    Cancelling is safe: the message is answered all the same.
    """
    with (
        call.waits_for(_echo_of(event)) as echoed,
        call.waits_for(_end_of(event)) as ended,
    ):
        await call.host.port.send(call, event)
        echo = await _in_time(echoed, LOGGED_S)
        if call.has_repeated and (end := await end_of(event)) is not None:
            return Accepted(echo, end)
        done, _ = await asyncio.wait([ended], timeout=wait_s)
        # Where the session or the server leaves, the answer comes all the same.
        is_answered = done and not ended.exception()
        return Accepted(echo, ended.result() if is_answered else None)


async def cancel(call: WaitingCall, event: Cancel) -> Logged:
    """Stops what the event names; the entry that says so. Raises `NothingRuns`."""
    with call.waits_for(_of_kind("user.cancel")) as cancelled:
        await call.host.port.send(call, event)
        return await _in_time(cancelled, LOGGED_S)


async def rate(call: WaitingCall, event: Feedback) -> Logged:
    """Says what an answer is worth; the entry that holds it."""
    wanted = (event.metadata.message_id, key_of(call.principal))

    def is_meant(logged: Logged) -> bool:
        if logged.event != "user.feedback":
            return False
        given = logged.data["metadata"]
        return wanted == (given["message_id"], given.get("principal", "")) and says(logged, event)

    with call.waits_for(is_meant) as rated:
        await call.host.port.send(call, event)
        return await _in_time(rated, LOGGED_S)


async def end_session(call: WaitingCall, session_id: str) -> None:
    """Ends a session's runs, and then the session, if it has not ended yet."""
    event = CloseSession(event="user.close_session", session_id=session_id)
    try:
        with call.waits_for(_of_kind("agent.session_end")) as ended:
            await call.host.port.send(call, event)
            # Where another server owns the session, it is refused later.
            await _in_time(ended, ENDED_S)
    except Refused as error:
        if error.code != "session_closed":
            raise
        await _until_ended(call, session_id)


async def _until_ended(call: WaitingCall, session_id: str) -> None:
    """Waits for the end of a session that somebody else is ending, or has ended."""
    with call.waits_for(_of_kind("agent.session_end")) as ended:
        # After the wait has begun: it may end at any moment.
        if not await sync_to_async(reading.has_ended)(session_id):
            await _in_time(ended, ENDED_S)


async def follow(stream: Stream, session_id: str, after: int) -> None:
    """Shows the stream what comes after `after`."""
    await stream.host.port.attach(stream, session_id, after)


async def ask_streaming(stream: Stream, event: UserMessage, after: int | None) -> None:
    """Sends a message, which has an id, and shows the stream what comes until its end.

    `after`: the newest entry that the reader has. A message that was accepted before is shown again
    after it, or from the message on.
    """
    accepted = await _accepted_seq(event)
    if accepted is not None:
        after = accepted - 1 if after is None else after
    if after is not None:
        await follow(stream, event.session_id, after)
    if accepted is None:
        await stream.host.port.send(stream, event)
        if after is None and stream.original is not None:
            # It was accepted after all, since the database was read.
            await follow(stream, event.session_id, stream.original.seq - 1)
    elif (end := await end_of(event)) is not None and end.seq <= (after or 0):
        # It has everything.
        stream.end()


def ends(event: UserMessage) -> Callable[[Logged], bool]:
    """Whether an entry is the end of the message."""
    return _end_of(event)


async def end_of(event: UserMessage) -> Logged | None:
    """The end of an accepted message, if it is in the log."""
    message_id = event.metadata.message_id or ""
    return await sync_to_async(reading.end_of_message)(event.session_id, message_id)


async def _accepted_seq(event: UserMessage) -> int | None:
    message_id = event.metadata.message_id or ""
    return await sync_to_async(reading.accepted_seq)(event.session_id, message_id)


async def _in_time(entry: asyncio.Future[Logged], seconds: float) -> Logged:
    try:
        async with asyncio.timeout(seconds):
            return await entry
    except TimeoutError:
        raise Refused("storage_unavailable") from None


def _of_kind(kind: str) -> Callable[[Logged], bool]:
    return lambda logged: logged.event == kind


def _echo_of(event: UserMessage) -> Callable[[Logged], bool]:
    return lambda logged: logged.event == "user.message" and _is_about(logged, event)


def _end_of(event: UserMessage) -> Callable[[Logged], bool]:
    return lambda logged: logged.event in TERMINAL_EVENTS and _is_about(logged, event)


def _is_about(logged: Logged, event: UserMessage) -> bool:
    found: bool = logged.data["metadata"].get("message_id") == event.metadata.message_id
    return found
