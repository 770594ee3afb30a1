"""A socket of the events dialect: a client that does not read, and one that asks for a lot."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from agents.log.entry import Logged
from agents.ports import Refused, SessionPort
from agents.sockets.events import OPENINGS_AT_ONCE, EventsConsumer
from agents.sockets.lanes import LEAST_WEIGHT, MOST_HELD
from agents.sockets.outbox import MOST_CONTROL
from agents.transients import Problem, Repeated
from tests.agents.hosting import Hosting, scope_at

ECHO = Logged(
    "s",
    2,
    "user.message",
    "",
    datetime.now(UTC),
    json.dumps({"content": "x" * 256 * 1024, "metadata": {"message_id": "m"}}).encode(),
)


class Unread:
    """The server's side of a client that reads nothing: only last words are taken off its hands."""

    def __init__(self) -> None:
        self.last: list[dict[str, Any]] = []
        self.offered = asyncio.Event()
        self._is_connected = False
        self._never = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if self._is_connected:
            await self._never.wait()
        self._is_connected = True
        return {"type": "websocket.connect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message.get("is_last") or message["type"] == "websocket.close":
            self.last.append(message)
        elif message["type"] == "websocket.send":
            self.offered.set()
            await self._never.wait()


class Nobody:
    """A port at which nothing is asked for."""

    def detach(self, socket: Any, session_id: str | None = None) -> None:
        pass


async def test_a_client_that_asks_for_large_echoes_and_reads_none_is_sent_away() -> None:
    peer = Unread()
    socket, scope = EventsConsumer(), scope_at(host=Hosting(cast(SessionPort, Nobody())))
    life = asyncio.create_task(socket(scope, peer.receive, peer.send))
    async with asyncio.timeout(30):
        await peer.offered.wait()
        for _ in range(MOST_CONTROL // len(ECHO.frame) + 1):
            socket.tell(Repeated(ECHO))
        await life
    word, close = peer.last
    assert json.loads(word["text"])["metadata"]["code"] == "slow_client"
    assert close["code"] == 4008


def asks(event: str, session_id: str, **fields: Any) -> str:
    return json.dumps({"event": f"user.{event}", "session_id": session_id, **fields})


class Client:
    """A client at a socket; whatever is asked of a session that is `slow` waits for `wake`."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []
        self.begun: list[tuple[str, str]] = []
        self.told: list[dict[str, Any]] = []
        self.closed_with: int | None = None
        self.is_slow = lambda session_id: session_id.startswith("slow")
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._news = asyncio.Event()
        self._awake = asyncio.Event()
        self.socket = EventsConsumer()
        self.incoming.put_nowait({"type": "websocket.connect"})
        scope = scope_at(host=Hosting(cast(SessionPort, self)))
        self.life = asyncio.create_task(self.socket(scope, self.incoming.get, self.send_out))

    def say(self, *texts: str) -> None:
        for text in texts:
            self.incoming.put_nowait({"type": "websocket.receive", "text": text})

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "websocket.disconnect"})

    def wake(self) -> None:
        self._awake.set()

    async def until(self, *expected: tuple[str, str]) -> None:
        """Waits until this has been done."""
        async with asyncio.timeout(30):
            while not set(expected) <= set(self.done):
                self._news.clear()
                await self._news.wait()

    async def error(self, code: str) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while True:
                for frame in self.told:
                    if frame["metadata"].get("code") == code:
                        return frame["metadata"]
                self._news.clear()
                await self._news.wait()

    # The server's side of the network, and the port.

    async def send_out(self, message: dict[str, Any]) -> None:
        if "text" in message:
            self.told.append(json.loads(message["text"]))
        if message["type"] == "websocket.close":
            self.closed_with = message["code"]
        self._news.set()

    async def attach(self, socket: Any, session_id: str, last_seq: int) -> None:
        await self._do("reconnect", session_id)
        socket.attached[session_id] = self

    async def send(self, socket: Any, event: Any) -> None:
        await self._do(event.event.removeprefix("user."), event.session_id)
        if event.session_id == "refused":
            raise Refused("busy")
        if event.session_id == "broken":
            raise RuntimeError("out of order")

    def detach(self, socket: Any, session_id: str | None = None) -> None:
        self.done.append(("detach", session_id or ""))
        if session_id is not None:
            socket.attached.pop(session_id, None)

    async def _do(self, what: str, session_id: str) -> None:
        self.begun.append((what, session_id))
        if self.is_slow(session_id):
            await self._awake.wait()
        self.done.append((what, session_id))
        self._news.set()


@pytest.fixture
async def client(settings: Any) -> Any:
    settings.MYAGENT_MESSAGES_PER_SECOND = 0
    client = Client()
    yield client
    client.wake()
    client.leave()
    async with asyncio.timeout(30):
        await asyncio.gather(client.life, return_exceptions=True)


async def test_a_cancel_waits_for_nothing_that_was_asked_of_other_sessions(client: Client) -> None:
    client.say(*(asks("reconnect", f"slow {number}") for number in range(499)))
    client.say(asks("cancel", "s"), asks("message", "s", content="and this"))
    await client.until(("cancel", "s"))
    assert [what for what in client.done if what[0] == "reconnect"] == []
    assert len(client.begun) - client.begun.index(("cancel", "s")) == 1
    assert len([what for what, _ in client.begun if what == "reconnect"]) == OPENINGS_AT_ONCE
    client.wake()
    await client.until(*(("reconnect", f"slow {number}") for number in range(499)))
    await client.until(("message", "s"))


async def test_a_message_to_an_attached_session_waits_for_nothing_asked_of_others(
    client: Client,
) -> None:
    client.say(asks("reconnect", "s"))
    await client.until(("reconnect", "s"))
    client.say(*(asks("reconnect", f"slow {number}") for number in range(20)))
    client.say(asks("message", "s", content="hello"))
    await client.until(("message", "s"))


async def test_what_is_asked_of_one_session_keeps_its_order(client: Client) -> None:
    events = [
        asks("reconnect", "slow"),
        asks("message", "slow", content="a"),
        asks("cancel", "slow"),
        asks("detach", "slow"),
        asks("reconnect", "slow"),
    ]
    client.say(*events, asks("cancel", "s"))
    await client.until(("cancel", "s"))
    client.done.clear()
    client.wake()
    await client.until(("detach", "slow"))
    client.leave()
    await client.life
    order = [what for what, session_id in client.done if session_id == "slow"]
    assert order == ["reconnect", "message", "cancel", "detach", "reconnect"]


async def test_what_needs_no_wait_is_done_before_the_next_frame_is_read(client: Client) -> None:
    client.say(asks("reconnect", "s"))
    count = 2 * MOST_HELD // LEAST_WEIGHT + 1
    client.say(*(asks("message", "s", content=str(number)) for number in range(count)))
    client.leave()
    await client.life
    assert client.done.count(("message", "s")) == count
    assert [frame["event"] for frame in client.told] == ["system.connected"]


async def test_what_a_client_asked_for_before_it_left_is_done(client: Client) -> None:
    client.say(asks("reconnect", "slow"), asks("message", "slow", content="last words"))
    client.say(asks("cancel", "s"))
    await client.until(("cancel", "s"))
    client.leave()
    client.wake()
    await client.life
    assert client.done[-3:] == [("reconnect", "slow"), ("message", "slow"), ("detach", "")]


async def test_a_socket_that_is_closed_waits_for_nothing_and_does_no_more(client: Client) -> None:
    client.say(asks("reconnect", "slow"), asks("message", "slow", content="late"))
    client.say(asks("cancel", "s"))
    await client.until(("cancel", "s"))
    client.socket.close(4012, Problem("en", "moved"))
    async with asyncio.timeout(30):
        await client.life
    assert client.begun == [("reconnect", "slow"), ("cancel", "s")]
    assert client.done == [("cancel", "s"), ("detach", "")]


async def test_a_client_that_has_left_is_waited_for_only_until_the_server_leaves(
    client: Client,
) -> None:
    client.say(asks("reconnect", "slow"), asks("cancel", "s"))
    await client.until(("cancel", "s"))
    client.leave()
    while client.incoming.qsize():  # noqa: ASYNC110 - the queue sends no event
        await asyncio.sleep(0)
    client.socket.close(4012, Problem("en", "moved"))
    async with asyncio.timeout(30):
        await client.life


async def test_behind_too_much_nothing_more_may_wait_and_idle_sessions_are_still_served(
    client: Client,
) -> None:
    client.say(asks("reconnect", "slow"))
    names = [f"m{number}" for number in range(MOST_HELD // LEAST_WEIGHT)]
    client.say(
        *(asks("message", "slow", content="x", metadata={"message_id": name}) for name in names)
    )
    assert (await client.error("rate_limited")) == {
        "code": "rate_limited",
        "retryable": True,
        "session_id": "slow",
        "message_id": names[-1],
    }
    client.say(asks("cancel", "s"))
    await client.until(("cancel", "s"))
    client.wake()
    client.leave()
    await client.life
    assert client.done.count(("message", "slow")) == len(names) - 1


class OneInFifty:
    """The rate limit of a server that is so busy that time passes between frames."""

    asked = 0
    wait_s = 0.1

    def take(self) -> bool:
        self.asked += 1
        return self.asked % 50 == 1


async def test_a_flood_is_ended_by_a_busy_server_too(client: Client) -> None:
    client.say(asks("cancel", "s"))
    await client.until(("cancel", "s"))
    client.socket._strictness.rate = OneInFifty()  # type: ignore[assignment]
    client.say(*(asks("cancel", "s") for _ in range(300)))
    async with asyncio.timeout(30):
        await client.life
    assert client.closed_with == 4029
    assert len(client.done) <= 10


async def test_above_twice_as_much_the_socket_is_not_read_until_there_is_room(
    client: Client,
) -> None:
    most = 2 * MOST_HELD // LEAST_WEIGHT
    client.say(*(asks("cancel", f"slow {number}") for number in range(most + 10)))
    while len(client.begun) < most:  # noqa: ASYNC110
        await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    assert (len(client.begun), client.incoming.qsize()) == (most, 10)
    client.wake()
    client.leave()
    await client.life
    assert len(client.begun) == most + 10


async def test_what_is_refused_or_fails_is_told_and_holds_up_nothing(client: Client) -> None:
    client.say(asks("cancel", "refused"), asks("cancel", "broken"), asks("cancel", "broken"))
    client.say(asks("cancel", "s"))
    await client.until(("cancel", "s"))
    assert (await client.error("busy"))["session_id"] == "refused"
    assert (await client.error("internal_error"))["session_id"] == "broken"
    assert client.done.count(("cancel", "broken")) == 2
