"""A chat socket that does not keep up: what it missed is made up for, and nothing piles up."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from agents.ports import SessionPort
from agents.sockets.chat.consumer import ChatConsumer
from tests.agents.hosting import Hosting, scope_at, visitor
from tests.agents.sockets.chat.test_translation import Conversation
from tests.chat_screen import Screen

PATIENCE_S = 30

LIMIT = 50
ANSWER = "龍は🎯" * 100


class SlowPeer:
    """Takes nothing until `wake` is called."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self._is_awake = asyncio.Event()

    async def send(self, message: dict[str, Any]) -> None:
        await self._is_awake.wait()
        self.received.append(json.loads(message["text"]))

    def wake(self) -> None:
        self._is_awake.set()


def open_socket(peer: SlowPeer) -> ChatConsumer:
    async def receive() -> dict[str, Any]:
        raise AssertionError("nobody reads here")

    socket = ChatConsumer()
    socket.open(scope_at("/ws/chat/ann"), receive, peer.send, Hosting())
    return socket


@pytest.mark.parametrize("misses", [False, True], ids=["keeps up at the end", "misses the rest"])
async def test_a_slow_reader_gets_the_answer_whole(settings: Any, misses: bool) -> None:
    settings.MYAGENT_OUTBOX_CHARACTERS = LIMIT
    talk = Conversation()
    talk.answer(talk.ask(), ANSWER)
    *before, last = talk.log
    peer = SlowPeer()
    socket = open_socket(peer)
    for logged in before[:2]:
        assert socket.push(logged)
    offset = 0
    while socket.push_text("s", "r", 1, offset, ANSWER[offset : offset + 5]):
        offset += 5
    assert offset <= LIMIT, "what waits is bounded"
    assert not socket.push(before[2])
    writer = asyncio.create_task(socket.outbox.run())
    peer.wake()
    await socket.room()
    assert socket.push(before[2])
    if not misses:
        assert socket.push_text("s", "r", 1, 0, ANSWER[: offset + 20])
        assert socket.push_text("s", "r", 1, offset + 20, ANSWER[offset + 20 : offset + 30])
    await socket.room()
    assert socket.push(last)
    await socket.outbox.drain()
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    (turn,) = Screen.of(peer.received).turns
    assert turn.text == ANSWER
    chunks = [frame["content"] for frame in peer.received if frame["type"] == "chunk"]
    assert "".join(chunks) == ANSWER


async def test_pieces_that_wait_become_one_chunk() -> None:
    peer = SlowPeer()
    socket = open_socket(peer)
    talk = Conversation()
    talk.ask()
    for logged in talk.log:
        socket.push(logged)
    for offset in range(0, 50, 5):
        socket.push_text("s", "r", 1, offset, ANSWER[offset : offset + 5])
    peer.wake()
    await socket.outbox.drain()
    assert [frame["type"] for frame in peer.received] == ["status", "chunk"]
    assert peer.received[1]["content"] == ANSWER[:50]


class Beginning:
    """A port at which a conversation begins once `begin` is called."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.begun = asyncio.Event()
        self.socket: ChatConsumer | None = None

    async def create(self, socket: ChatConsumer, event: Any) -> None:
        self.socket = socket
        self.begun.set()

    def begin(self) -> None:
        assert self.socket is not None
        talk = Conversation()
        talk.ask()
        (created, *_) = talk.log
        assert created.event == "agent.session_created"
        self.socket.push(created)

    async def send(self, socket: ChatConsumer, event: Any) -> None:
        self.asked.append(event.event)

    def detach(self, socket: ChatConsumer, session_id: str | None = None) -> None: ...


async def test_what_is_said_while_a_conversation_begins_waits_for_it_and_is_not_lost(
    settings: Any,
) -> None:
    settings.MYAGENT_MESSAGES_PER_SECOND, settings.MYAGENT_MESSAGE_BURST = 0.001, 3
    port = Beginning()
    client = visitor(ChatConsumer, "/ws/chat/ann", host=Hosting(cast(SessionPort, port)))
    await client.connect(PATIENCE_S)
    for text in ('{"query": "hello"}', '{"action": "cancel"}', "garbage", '{"query": "refused"}'):
        await client.send_to(text)
    told = [await client.receive_json_from(PATIENCE_S) for _ in range(2)]
    assert [frame["type"] for frame in told] == ["error", "error"]
    port.begin()
    await client.disconnect(timeout=PATIENCE_S)
    assert port.asked == ["user.message", "user.cancel"]
