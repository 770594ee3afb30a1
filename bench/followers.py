"""How much later the clients of a second server have an entry than those of the session's owner.

`python -m bench.followers` prints the figures; `--json FILE` keeps them. Turns come at a steady
rate. A client that sees an entry twice, out of order or not at all raises.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect

from bench import redis_or_not
from bench.clients import TERMINAL, TURN_S, TurnLostError
from bench.redis_or_not import TARGETS_MS
from bench.report import Figure, quantiles
from bench.subjects import ECHO_AGENT, Site


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run: so many sessions, which share the rate; `turns` of each.

    `first`: turns of each that come before anything is measured.
    """

    sessions: int
    turns: int
    rounds: int = 3
    first: int = 2
    turns_per_s: float = 100.0


FULL = Scale(sessions=50, turns=20)
QUICK = Scale(sessions=4, turns=3, rounds=1, first=1, turns_per_s=10.0)


class Viewer:
    """A client of one session. `seen_at` holds when it had each entry, from entry 1 on."""

    def __init__(self, socket: ClientConnection, session_id: str) -> None:
        self.session_id = session_id
        self.seen_at: list[float] = []
        self._socket = socket

    @classmethod
    async def begin(cls, url: str) -> Self:
        """With a session of its own."""
        viewer = cls(await _dial(url), "")
        await viewer._send({"event": "user.create_session"})
        viewer.session_id = (await viewer._until("agent.session_created"))["session_id"]
        return viewer

    @classmethod
    async def join(cls, url: str, session_id: str) -> Self:
        viewer = cls(await _dial(url), session_id)
        await viewer._send(
            {"event": "user.reconnect", "session_id": session_id, "metadata": {"last_seq": 0}}
        )
        await viewer._until("agent.replay_complete")
        return viewer

    async def take_turn(self, content: str) -> None:
        """One message and its answer. Raises `TurnLostError`, `TimeoutError`."""
        event = {"event": "user.message", "session_id": self.session_id, "content": content}
        async with asyncio.timeout(TURN_S):
            await self._send(event)
            end = await self._until(*TERMINAL)
        if end["event"] != "agent.final_answer" or content not in end["content"]:
            raise TurnLostError(f"{content} -> {end}")

    async def watch(self, entries: int) -> None:
        """Until it has so many entries. Raises `TurnLostError`, `TimeoutError`."""
        while len(self.seen_at) < entries:
            async with asyncio.timeout(TURN_S):
                await self._receive()

    async def close(self) -> None:
        await self._socket.close()

    async def _send(self, event: dict[str, Any]) -> None:
        await self._socket.send(orjson.dumps(event).decode())

    async def _until(self, *events: str) -> dict[str, Any]:
        while (frame := await self._receive())["event"] not in events:
            pass
        return frame

    async def _receive(self) -> dict[str, Any]:
        frame: dict[str, Any] = orjson.loads(await self._socket.recv())
        if "seq" in frame:
            self.seen_at.append(time.perf_counter())
            if frame["seq"] != len(self.seen_at):
                raise TurnLostError(f"entry {len(self.seen_at)} is missing before {frame}")
        return frame


async def _dial(url: str) -> ClientConnection:
    return await connect(url, compression=None, max_size=None, ping_interval=None)


@dataclass(slots=True)
class Lags:
    """Milliseconds by which other clients had an entry after the one that speaks.

    `beside`: clients at the owner as well, which shows what the machine and the bench add.
    """

    following: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    turns_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Table:
    """A session's clients: one speaks, one watches at the same server, one at the other."""

    speaker: Viewer
    beside: Viewer
    following: Viewer

    @classmethod
    async def lay(cls, owner_url: str, other_url: str) -> Self:
        speaker = await Viewer.begin(owner_url)
        beside = await Viewer.join(owner_url, speaker.session_id)
        return cls(speaker, beside, await Viewer.join(other_url, speaker.session_id))

    async def talk(self, turns: int, start_at: float, period_s: float) -> None:
        """A turn in each period, or at once where the one before took longer."""
        async with asyncio.TaskGroup() as tasks:
            # An echo turn is two entries.
            entries = len(self.speaker.seen_at) + 2 * turns
            tasks.create_task(self.beside.watch(entries))
            tasks.create_task(self.following.watch(entries))
            for number in range(turns):
                await asyncio.sleep(start_at + number * period_s - time.perf_counter())
                await self.speaker.take_turn(f"Turn {number} of {self.speaker.session_id}")

    def lags_after(self, first: int, viewer: Viewer) -> list[float]:
        pairs = zip(self.speaker.seen_at[first:], viewer.seen_at[first:], strict=True)
        return [(seen - said) * 1000 for said, seen in pairs]

    async def clear(self) -> None:
        for viewer in (self.speaker, self.beside, self.following):
            await viewer.close()


async def talk_at(tables: Sequence[Table], turns: int, turns_per_s: float) -> float:
    """All talk by turns, at this rate together; the seconds that it took."""
    period_s, began = len(tables) / turns_per_s, time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number, table in enumerate(tables):
            start_at = began + number / turns_per_s
            tasks.create_task(table.talk(turns, start_at, period_s))
    return time.perf_counter() - began


async def follow(site: Site, scale: Scale, **environment: str) -> Lags:
    """Two servers of their own."""
    lags = Lags()
    with (
        site.start(ECHO_AGENT, **environment) as owner,
        site.start(ECHO_AGENT, **environment) as other,
    ):
        tables = [await Table.lay(owner.url, other.url) for _ in range(scale.sessions)]
        await talk_at(tables, scale.first, scale.turns_per_s)
        first = len(tables[0].speaker.seen_at)
        took_s = await talk_at(tables, scale.turns, scale.turns_per_s)
        lags.turns_per_s = scale.sessions * scale.turns / took_s
        for table in tables:
            lags.following += table.lags_after(first, table.following)
            lags.beside += table.lags_after(first, table.beside)
            await table.clear()
    return lags


def figures_of(how: str, rounds: Sequence[Lags]) -> list[Figure]:
    following = [quantiles(each.following) for each in rounds]
    beside = [quantiles(each.beside) for each in rounds]
    worst = [max(each.following) for each in rounds]
    return [
        Figure.of("a follower's client is behind, p50", how, [p50 for p50, _ in following], "ms"),
        Figure.of(
            "a follower's client is behind, p99",
            how,
            [p99 for _, p99 in following],
            "ms",
            target=TARGETS_MS[how],
        ),
        Figure.of("a follower's client is behind, worst", how, worst, "ms"),
        Figure.of("the owner's other client is behind, p99", how, [p99 for _, p99 in beside], "ms"),
        Figure.of("turns a second", how, [each.turns_per_s for each in rounds], "/s"),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    redis_or_not.run(
        arguments,
        about=__doc__,
        title="Clients at a second server",
        full=FULL,
        quick=QUICK,
        measure=follow,
        figures_of=figures_of,
    )


if __name__ == "__main__":
    main()
