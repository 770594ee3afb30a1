"""A request as a connection: bounded, counted, resumable; and what it waits for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import pytest

from agents.calls import asking
from agents.calls import call as calls
from agents.calls.call import Call, NothingRuns, WaitingCall
from agents.calls.stream import Stream
from agents.log import reading
from agents.log.entry import Logged
from agents.models import Session
from agents.ports import Refused, SessionPort
from agents.sockets.handshake import Refusal
from agents.transients import Heartbeat, Notice, Problem, Repeated
from myagent.protocol import CloseSession
from tests.agents.hosting import Hosting

PATIENCE_S = 20.0


class Port:
    """What a call asks of the sessions: only to leave them."""

    def __init__(self) -> None:
        self.left: list[Call] = []

    def detach(self, call: Call, session_id: str | None = None) -> None:
        self.left.append(call)


@pytest.fixture
def host() -> Hosting:
    return Hosting(cast(SessionPort, Port()))


def entry(seq: int, event: str = "agent.thinking", size: int = 0) -> Logged:
    payload = b'{"content":"%s","metadata":{}}' % (b"x" * size)
    return Logged("s", seq, event, "", datetime.now(UTC), payload)


def of(kind: Any, host: Hosting, **options: Any) -> Any:
    return kind(host, {}, "en", None, **options)


async def read(stream: Stream) -> list[str]:
    async with asyncio.timeout(PATIENCE_S):
        return [chunk.decode() async for chunk in stream.read()]


async def test_entries_have_their_place_as_id_and_nothing_else_has_one(host: Hosting) -> None:
    stream = of(Stream, host, is_last=lambda logged: logged.event == "agent.final_answer")
    await stream.enter()
    stream.push(entry(3))
    stream.push_text("s", "run", 1, 0, "some ")
    stream.push_text("s", "run", 1, 5, "text")
    stream.tell(Heartbeat())
    stream.push(entry(4, "agent.final_answer"))
    stream.push(entry(5))
    retry, first, text, beat, last = await read(stream)
    assert retry == "retry: 1000\n\n"
    assert first.startswith('id: 3\ndata: {"event":"agent.thinking"') and first.endswith("\n\n")
    assert text.startswith('data: {"event":"agent.partial_answer"') and '"some text"' in text
    assert beat.startswith('data: {"event":"system.heartbeat"')
    assert last.startswith("id: 4\n")
    # Whoever has read it has left.
    assert cast(Port, host.port).left == [stream] and len(host.connections) == 0


async def test_a_stream_that_is_not_read_takes_only_so_much(host: Hosting, settings: Any) -> None:
    settings.MYAGENT_OUTBOX_CHARACTERS = 10_000
    stream = of(Stream, host)
    await stream.enter()
    taken = 0
    while stream.push(entry(taken + 1, size=1_000)):
        taken += 1
    assert 5 <= taken <= 12
    assert not stream.push_text("s", "run", 1, 0, "text")
    reading = stream.read()
    while taken:
        taken -= (await anext(reading)).startswith(b"id: ")
    async with asyncio.timeout(PATIENCE_S):
        await stream.room()
    assert stream.push(entry(99))
    await reading.aclose()


async def test_a_reader_that_does_not_read_on_is_left_alone(host: Hosting, settings: Any) -> None:
    settings.MYAGENT_SLOW_CLIENT_S = 0.0
    stream = of(Stream, host)
    await stream.enter()
    reading = stream.read()
    await anext(reading)
    for seq in range(1, 5):
        stream.push(entry(seq))
    while not stream._outbox.stalled_for_s():  # noqa: ASYNC110
        await asyncio.sleep(0)
    stream.beat(asyncio.get_running_loop().time())
    assert cast(Port, host.port).left == [stream] and len(host.connections) == 0
    async with asyncio.timeout(PATIENCE_S):
        assert [chunk async for chunk in reading]


async def test_a_server_that_leaves_ends_the_stream_with_the_reason(host: Hosting) -> None:
    stream = of(Stream, host)
    await stream.enter()
    reading = asyncio.ensure_future(read(stream))
    await host.connections.close()
    assert '"code":"service_unavailable"' in (await reading)[-1]


async def test_silence_is_broken_by_a_sign_of_life(host: Hosting, settings: Any) -> None:
    settings.MYAGENT_HEARTBEAT_S = 0.0
    stream = of(Stream, host)
    await stream.enter()
    stream.beat(asyncio.get_running_loop().time())
    stream.end()
    assert (await read(stream))[1:] == [": alive\n\n"]


async def test_who_waits_gets_the_first_entry_that_is_meant(host: Hosting) -> None:
    call = of(WaitingCall, host)
    with (
        call.waits_for(lambda logged: logged.seq > 1) as late,
        call.waits_for(lambda logged: logged.seq == 9) as never,
    ):
        for seq in (1, 2, 3):
            assert call.push(entry(seq))
        assert late.result().seq == 2 and not never.done()
        call.tell(Repeated(entry(9)))
        assert call.has_repeated and never.result().seq == 9


@pytest.mark.parametrize(
    ("tell", "error"),
    [
        (lambda call: call.tell(Problem("en", "busy")), Refused),
        (lambda call: call.lose("s"), Refused),
        (lambda call: call.close(4012, Problem("en", "service_unavailable")), Refused),
        (lambda call: call.tell(Notice("en", "not_running", "s")), NothingRuns),
    ],
)
async def test_who_waits_in_vain_is_told(host: Hosting, tell: Any, error: Any) -> None:
    call = of(WaitingCall, host)
    with call.waits_for(lambda logged: True) as found:
        tell(call)
        with pytest.raises(error):
            await found


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(calls, "MOST_CALLS", calls._under_way.total() + 1)
    yield


async def test_only_so_many_are_under_way_at_once(host: Hosting, few: None) -> None:
    first, second = of(WaitingCall, host), of(WaitingCall, host)
    await first.enter()
    with pytest.raises(Refused) as refused:
        await second.enter()
    assert refused.value.sentence == "too_many_requests"
    first.leave()
    first.leave()
    await second.enter()
    second.leave()


async def test_whom_the_server_does_not_admit_is_no_connection(
    host: Hosting, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def admit(service: str | None) -> Refusal:
        return Refusal(4013, "storage_unavailable")

    monkeypatch.setattr(host, "admit", admit)
    call = of(WaitingCall, host)
    with pytest.raises(Refused, match="storage_unavailable"):
        await call.enter()
    assert len(host.connections) == 0


class ClosesLater(Port):
    """A session of another server, which refuses to close what it is closing already."""

    async def send(self, call: WaitingCall, event: CloseSession) -> None:
        call.tell(Problem("en", "session_closed", session_id=event.session_id))


@pytest.mark.django_db(transaction=True)
async def test_who_ends_a_session_that_is_ending_waits_for_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, session_id = datetime.now(UTC), str(uuid4())
    await Session.objects.acreate(
        id=session_id, service="tested", epoch=1, created_at=now, updated_at=now
    )
    has_looked, has_ended = threading.Event(), reading.has_ended

    def look(session_id: str) -> bool:
        has_looked.set()
        return has_ended(session_id)

    monkeypatch.setattr(reading, "has_ended", look)
    call = of(WaitingCall, Hosting(cast(SessionPort, ClosesLater())))
    ending = asyncio.ensure_future(asking.end_session(call, session_id))
    assert await asyncio.to_thread(has_looked.wait, PATIENCE_S)
    call.push(entry(9, "agent.session_end"))
    async with asyncio.timeout(PATIENCE_S):
        await ending
    # One that has ended is not waited for.
    await Session.objects.filter(pk=session_id).aupdate(closed_at=now)
    async with asyncio.timeout(PATIENCE_S):
        await asking.end_session(call, session_id)
