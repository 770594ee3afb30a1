"""A chat socket that does not keep up: what it missed is made up for, and nothing piles up."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from agents.chat_consumer import ChatConsumer
from agents.connections import Connections
from agents.ports import SessionPort
from tests.agents.test_chat import Conversation
from tests.chat_screen import Screen

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


def open_socket(peer: SlowPeer, path: str = "/ws/chat/ann") -> ChatConsumer:
    scope = {"path": path, "raw_path": path.encode(), "query_string": b"", "headers": []}

    async def receive() -> dict[str, Any]:
        raise AssertionError("nobody reads here")

    return ChatConsumer(scope, receive, peer.send, cast(SessionPort, None), Connections("test"))


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
