"""What waits for one socket: bounded, in order, text put together."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from agents.log.entry import Logged
from agents.sockets import outbox
from agents.sockets.outbox import Outbox, SocketGone


class Wire:
    """The other end. It takes frames while `is_open` is set."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.is_open = asyncio.Event()
        self.is_open.set()
        self._arrived = asyncio.Event()

    async def send(self, message: dict[str, object]) -> None:
        await self.is_open.wait()
        self.sent.append(str(message["text"]))
        self._arrived.set()

    async def has(self, count: int) -> None:
        """Waits until so many frames have come."""
        while len(self.sent) < count:
            self._arrived.clear()
            await self._arrived.wait()

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [orjson.loads(text) for text in self.sent]


def entry(seq: int) -> Logged:
    return Logged("s", seq, "agent.tool_call", "", datetime.now(UTC), b'{"content":1}')


def put_text(box: Outbox, offset: int, text: str, run: str = "run", step: int = 1) -> None:
    box.push_text("s", run, step, offset, text)


async def test_frames_leave_in_the_order_in_which_they_came() -> None:
    wire = Wire()
    box = Outbox(wire.send, 10_000)
    box.push_frame('"a"')
    assert box.push(entry(1))
    put_text(box, 0, "text")
    assert box.push(entry(2))
    await box.drain()
    kinds = [frame if isinstance(frame, str) else frame["event"] for frame in wire.frames]
    assert kinds == ["a", "agent.tool_call", "agent.partial_answer", "agent.tool_call"]


async def test_text_that_waits_is_put_together() -> None:
    wire = Wire()
    box = Outbox(wire.send, 10_000)
    put_text(box, 0, "one ")
    put_text(box, 4, "two ")
    put_text(box, 8, "three")
    await box.drain()
    (frame,) = wire.frames
    assert (frame["content"], frame["metadata"]["offset"]) == ("one two three", 0)


class Piece(str):
    """Counts how often its length is asked for."""

    asked = 0

    def __len__(self) -> int:
        Piece.asked += 1
        return super().__len__()


async def test_what_a_piece_of_text_costs_does_not_grow_with_those_that_wait() -> None:
    wire = Wire()
    box = Outbox(wire.send, 10_000)
    for offset in range(1000):
        put_text(box, offset, Piece("x"))
    assert Piece.asked < 10 * 1000
    await box.drain()
    (frame,) = wire.frames
    assert frame["content"] == "x" * 1000
    # And all of the room is there again.
    assert box._size == 0


@pytest.mark.parametrize(
    "other", [{"offset": 9}, {"offset": 4, "run": "another"}, {"offset": 4, "step": 2}]
)
async def test_text_that_does_not_follow_stays_apart(other: dict[str, Any]) -> None:
    wire = Wire()
    box = Outbox(wire.send, 10_000)
    put_text(box, 0, "one ")
    put_text(box, text="two", **other)
    await box.drain()
    assert [frame["content"] for frame in wire.frames] == ["one ", "two"]


async def test_an_entry_between_keeps_texts_apart() -> None:
    wire = Wire()
    box = Outbox(wire.send, 10_000)
    put_text(box, 0, "one ")
    box.push(entry(1))
    put_text(box, 4, "two")
    await box.drain()
    assert [frame["event"] for frame in wire.frames][1] == "agent.tool_call"
    assert len(wire.sent) == 3


async def test_a_full_box_turns_entries_away_until_there_is_room() -> None:
    wire = Wire()
    box = Outbox(wire.send, 300)
    taken = 0
    while box.push(entry(taken + 1)):
        taken += 1
    assert 0 < taken <= 4
    room = asyncio.ensure_future(box.room())
    await asyncio.sleep(0)
    assert not room.done()
    await box.drain()
    await room
    assert box.push(entry(taken + 1))
    await box.drain()
    assert [frame["seq"] for frame in wire.frames] == list(range(1, taken + 2))


async def test_a_full_box_drops_text_but_not_control_frames() -> None:
    wire = Wire()
    box = Outbox(wire.send, 10)
    box.push_frame('"0123456789"')
    put_text(box, 0, "dropped")
    box.push_frame('"kept"')
    await box.drain()
    assert wire.frames == ["0123456789", "kept"]


async def test_even_control_frames_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_FRAMES", 3)
    wire = Wire()
    box = Outbox(wire.send, 10_000)
    for number in range(5):
        box.push_frame(str(number))
    assert box.is_overfull
    await box.drain()
    assert wire.sent == ["0", "1", "2"]
    assert not box.is_overfull


async def test_large_control_frames_are_bounded_by_their_size() -> None:
    wire = Wire()
    box = Outbox(wire.send, 10_000)
    large = "x" * (256 * 1024)
    for _ in range(100):
        box.push_frame(large)
    assert box.is_overfull
    await box.drain()
    assert wire.sent == [large] * (outbox.MOST_CONTROL // len(large))
    assert not box.is_overfull


async def test_entries_of_the_log_take_no_room_from_control_frames() -> None:
    wire = Wire()
    box = Outbox(wire.send, 2 * outbox.MOST_CONTROL)
    payload = b'{"content":"' + b"x" * 900_000 + b'"}'
    for seq in (1, 2):
        assert box.push(Logged("s", seq, "agent.tool_call", "", datetime.now(UTC), payload))
    assert not box.is_overfull
    box.push_frame('"kept"')
    await box.drain()
    assert wire.sent[2:] == ['"kept"']
    assert not box.is_overfull


async def test_a_drain_that_is_cancelled_loses_nothing() -> None:
    wire = Wire()
    wire.is_open.clear()
    box = Outbox(wire.send, 10_000)
    for number in range(3):
        box.push_frame(str(number))
    draining = asyncio.ensure_future(box.drain())
    await asyncio.sleep(0)
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    wire.is_open.set()
    await box.drain()
    assert wire.sent == ["0", "1", "2"]


async def test_a_running_box_sends_what_comes_later() -> None:
    wire = Wire()
    box = Outbox(wire.send, 10_000)
    running = asyncio.ensure_future(box.run())
    for number in range(3):
        box.push_frame(str(number))
        await wire.has(number + 1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert wire.sent == ["0", "1", "2"]


async def test_a_reader_that_takes_nothing_is_noticed() -> None:
    wire = Wire()
    wire.is_open.clear()
    box = Outbox(wire.send, 10_000)
    assert box.stalled_for_s() == 0.0
    box.push_frame("x")
    draining = asyncio.ensure_future(box.drain())
    await asyncio.sleep(0.01)
    assert box.stalled_for_s() > 0
    wire.is_open.set()
    await draining
    assert box.stalled_for_s() == 0.0


@pytest.mark.parametrize("error", [OSError("reset"), RuntimeError("closed already")])
async def test_a_socket_that_is_gone_is_told_in_one_way(error: Exception) -> None:
    async def send(message: dict[str, object]) -> None:
        raise error

    box = Outbox(send, 10_000)
    box.push_frame("x")
    with pytest.raises(SocketGone):
        await box.run()


async def test_while_too_much_waits_for_all_each_keeps_its_share_and_no_more() -> None:
    wire, all_of_them = Wire(), outbox.Waiting(3 * outbox.SHARE)
    slow, other = (Outbox(wire.send, 1_000_000, waiting=all_of_them) for _ in range(2))
    while slow.push(entry(1)):
        pass
    assert all_of_them.is_full
    taken = 0
    while other.push(entry(1)):
        taken += len(entry(1).frame)
    assert outbox.SHARE <= taken < outbox.SHARE + len(entry(1).frame)
    # A socket that leaves frees the share of its waiting frames.
    slow.close()
    assert all_of_them.size == taken
    assert other.push(entry(1))
    await other.drain()
    assert all_of_them.size == 0
