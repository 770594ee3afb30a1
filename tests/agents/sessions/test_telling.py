"""What an owner tells arrives as it was, and whatever is lost, followers show the log in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.log.entry import Logged
from agents.ownership.followers import Followed
from agents.runtime import bell
from agents.runtime.background import Background
from agents.sessions.followed import FollowedSession
from agents.sessions.pieces import Piece
from agents.sessions.relay import MOST_ENTRIES, Relay, name_of
from agents.sessions.telling import Told, decode, encode
from tests.agents.recording_socket import RecordingSocket

PATIENCE_S = 30.0


def entry(seq: int, content: str = "x") -> Logged:
    payload = b'{"content":"' + content.encode() + b'","metadata":{"run_id":"run"}}'
    return Logged("s", seq, "agent.tool_call", "step", datetime.now(UTC), payload)


@pytest.mark.parametrize(
    "told",
    [entry(7, "é\U0001f600"), Piece(3, "run", 1, 4, "text"), Piece(3, "", 2, 0, None, "continued")],
    ids=["entry", "text", "notice"],
)
def test_what_is_told_arrives_as_it_was(told: Told) -> None:
    # As the Redis channel layer does.
    words = msgpack.unpackb(msgpack.packb(encode(told)), strict_map_key=False)
    assert decode("s", words) == told


class Post:
    """What a relay sends to the one server that follows session `s`."""

    def __init__(self) -> None:
        self.background = Background()
        self.relay = Relay(self.background)
        self.relay.followers = {"s": frozenset({"f"})}
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def take(self, name: str, words: dict[str, Any]) -> int:
        assert name == name_of("f")
        self.sent.put_nowait(words)
        return 1

    async def next(self) -> tuple[bool, list[Told]]:
        """Whether the log holds more, and what was told."""
        async with asyncio.timeout(PATIENCE_S):
            words = await self.sent.get()
        told = [decode(id_, each) for id_, some in words["told"].items() for each in some]
        return words["has_grown"], told


@pytest.fixture
async def post(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Post]:
    post = Post()
    monkeypatch.setattr(bell, "is_shared", lambda: True)
    monkeypatch.setattr(bell, "send_words", post.take)
    yield post
    await post.background.stop()


async def test_what_happens_at_once_is_told_together_and_in_order(post: Post) -> None:
    first, last = entry(1), entry(2)
    text = [Piece(1, "run", 1, 0, "a"), Piece(1, "run", 1, 1, "b")]
    notice = Piece(1, "", 0, 0, None, "continuing")
    post.relay.note_logged("s", [first])
    for piece in (*text, notice):
        post.relay.show("s", piece)
    post.relay.note_logged("s", [last])
    post.relay.note_logged("nobody's", [entry(1)])
    assert await post.next() == (False, [first, Piece(1, "run", 1, 0, "ab"), notice, last])


async def test_a_step_that_starts_takes_earlier_text_back_and_nothing_else(post: Post) -> None:
    notice, start = Piece(1, "", 0, 0, None, "continued"), Piece(1, "", 1, 0, None)
    kept = entry(1)
    post.relay.note_logged("s", [kept])
    for piece in (Piece(1, "run", 1, 0, "a"), notice, start):
        post.relay.show("s", piece)
    assert await post.next() == (False, [kept, notice, start])


async def test_entries_that_are_too_much_for_a_message_are_left_to_the_log(post: Post) -> None:
    small, large = entry(1), entry(2, "x" * MOST_ENTRIES)
    post.relay.note_logged("s", [small, large])
    assert await post.next() == (True, [small])
    post.relay.note_logged("s", [entry(3)])
    has_grown, told = await post.next()
    assert (has_grown, len(told)) == (False, 1)


def follow(last_seq: int = 0) -> tuple[FollowedSession, RecordingSocket]:
    seen = Followed("owner", "service", "en", "", last_seq, set(), set())
    nothing: Any = None
    session = FollowedSession("s", seen, nothing, nothing, count=lambda change: None)
    socket = RecordingSocket()
    session.subscribe(socket)
    return session, socket


def seqs(socket: RecordingSocket) -> list[int]:
    return [frame["seq"] for frame in socket.told if "seq" in frame]


async def test_the_next_entries_are_shown_at_once_and_each_only_once() -> None:
    session, socket = follow(last_seq=1)
    assert session.hear([entry(2), entry(3)])
    assert session.hear([entry(2), entry(3), entry(4)])
    session.show([entry(3), entry(4), entry(5)], 5)
    assert seqs(socket) == [2, 3, 4, 5]


async def test_after_a_gap_the_log_has_to_be_read() -> None:
    session, socket = follow()
    assert not session.hear([entry(1), entry(3)])
    assert seqs(socket) == [1]
    session.show([entry(2), entry(3)], 3)
    assert seqs(socket) == [1, 2, 3]


async def test_clients_are_told_how_their_run_fares() -> None:
    session, socket = follow()
    session.hear([entry(1), Piece(1, "", 0, 0, None, "continuing")])
    assert await socket.hear("system.notice", code="continuing")


@given(
    lost=st.sets(st.integers(1, 12)),
    reads=st.sets(st.integers(1, 12)),
    again=st.lists(st.integers(1, 12), max_size=5),
)
def test_whatever_is_lost_or_comes_again_clients_see_the_log_in_order(
    lost: set[int], reads: set[int], again: list[int]
) -> None:
    async def play() -> list[int]:
        session, socket = follow()
        log = [entry(seq) for seq in range(1, 13)]
        for logged in log:
            if logged.seq not in lost:
                session.hear([logged])
            session.hear([log[seq - 1] for seq in again if seq <= logged.seq])
            if logged.seq in reads:
                session.show(log[session.last_seq : logged.seq], logged.seq)
        session.show(log[session.last_seq :], 12)
        return seqs(socket)

    assert asyncio.run(play()) == list(range(1, 13))
