"""One pulse for all sockets, and one word to all: what fails at one costs the others nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from agents.sockets import connections
from agents.sockets.base import SocketConsumer
from agents.sockets.connections import STEPS, Connections
from agents.transients import Problem, Transient


class Peer:
    """An open socket as its process sees it; `fails` at whatever is asked of it."""

    def __init__(self, name: str, *, fails: bool = False) -> None:
        self.connection_id = name
        self.lang = "en"
        self.beats = self.frames = 0
        self.has_beaten = asyncio.Event()
        self.close_code: int | None = None
        self._fails = fails

    def beat(self, now: float) -> None:
        self.beats += 1
        self.has_beaten.set()
        self._check()

    def tell(self, transient: Transient) -> None:
        self.frames += 1
        self._check()

    def close(self, code: int, problem: Problem) -> None:
        self._check()
        self.close_code = code

    def _check(self) -> None:
        if self._fails:
            raise RuntimeError("out of order")


def open_all(*peers: Peer) -> Connections:
    others = Connections("test")
    for peer in peers:
        others.add(cast(SocketConsumer, peer))
    return others


@pytest.fixture
def quick_rounds(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(connections, "LEAST_ROUND_S", 0.001)
    settings.MYAGENT_HEARTBEAT_S = 0.008


@pytest.fixture
async def pair(quick_rounds: None) -> AsyncIterator[tuple[Peer, Peer, Connections]]:
    bad, good = Peer("bad", fails=True), Peer("good")
    others = open_all(bad, good)
    yield bad, good, others
    await others.close(0)


async def test_a_socket_at_which_the_pulse_fails_costs_no_other_its_beat(
    pair: tuple[Peer, Peer, Connections],
) -> None:
    bad, good, _ = pair
    with capture_logs() as logs:
        async with asyncio.timeout(30):
            for _ in range(3):
                good.has_beaten.clear()
                await good.has_beaten.wait()
    assert bad.beats >= 2, "the next beat is tried all the same"
    (first, *_) = logs
    assert (first["event"], first["connection_id"]) == ("socket_not_told", "bad")


async def test_a_socket_that_cannot_be_told_keeps_no_other_from_being_sent_away(
    pair: tuple[Peer, Peer, Connections],
) -> None:
    bad, good, others = pair
    others.announce_drain()
    await others.close(0)
    told: Any = (bad.frames, good.frames, good.close_code)
    assert told == (1, 1, 4012)


async def test_the_pulse_never_comes_by_at_many_sockets_before_others_have_a_turn(
    quick_rounds: None,
) -> None:
    peers = [Peer(str(number)) for number in range(10 * STEPS)]
    others = open_all(*peers)
    most = 0
    async with asyncio.timeout(30):
        while not all(peer.beats for peer in peers):
            before = sum(peer.beats for peer in peers)
            await asyncio.sleep(0)
            most = max(most, sum(peer.beats for peer in peers) - before)
    assert most == 10
    await others.close(0)


async def test_who_has_left_since_the_round_began_is_not_asked(quick_rounds: None) -> None:
    gone, here = Peer("gone"), Peer("here")
    others = open_all(here, gone)
    async with asyncio.timeout(30):
        await here.has_beaten.wait()
    others.remove(cast(SocketConsumer, gone))
    beats, here.beats = gone.beats, 0
    async with asyncio.timeout(30):
        while here.beats < 3:
            here.has_beaten.clear()
            await here.has_beaten.wait()
    assert gone.beats == beats
    await others.close(0)
