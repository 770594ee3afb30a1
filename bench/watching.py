"""How much later viewers of all traces have a step than the client of its run.

`python -m bench.watching` prints the figures; `--json FILE` keeps them. Turns of three spans come
at a steady rate. A viewer that misses a message, or gets one twice, raises.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect

from bench import redis_or_not
from bench.clients import TERMINAL, TURN_S, TurnLostError
from bench.redis_or_not import TARGETS_MS
from bench.report import Figure, quantiles
from bench.subjects import Site

AGENT = Path(__file__).parent / "agents" / "stepping_agent.py"

EVENTS = {
    "agent.thinking": "think_completed",
    "agent.tool_result": "tool_completed",
    "agent.final_answer": "trace_completed",
}
"""What a viewer is told of an entry that a client sees."""

Step = tuple[str, str, int]
"""The run, what a viewer is told of it, and its step; 0 for the run's end."""


@dataclass(frozen=True, slots=True)
class Scale:
    """So many clients share the rate; `turns` of each, after `first` that are not measured."""

    clients: int
    turns: int
    rounds: int = 3
    first: int = 2
    turns_per_s: float = 100.0


FULL = Scale(clients=50, turns=20)
QUICK = Scale(clients=4, turns=3, rounds=1, first=1, turns_per_s=10.0)


async def _dial(url: str) -> ClientConnection:
    return await connect(url, compression=None, max_size=None, ping_interval=None)


class Talker:
    """One conversation. `seen_at` tells when its client had each step."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.session_id = ""
        self._run_id = ""
        self.seen_at: dict[Step, float] = {}

    @classmethod
    async def begin(cls, url: str) -> Self:
        talker = cls(await _dial(url))
        await talker.socket.send('{"event": "user.create_session"}')
        while (frame := orjson.loads(await talker.socket.recv())).get("seq") is None:
            pass
        talker.session_id = frame["session_id"]
        return talker

    async def take_turn(self, content: str) -> None:
        """Raises `TurnLostError`, `TimeoutError`."""
        event = {"event": "user.message", "session_id": self.session_id, "content": content}
        await self.socket.send(orjson.dumps(event).decode())
        async with asyncio.timeout(TURN_S):
            while (frame := orjson.loads(await self.socket.recv()))["event"] not in TERMINAL:
                self._note(frame)
        if frame["event"] != "agent.final_answer" or content not in frame["content"]:
            raise TurnLostError(f"{content} -> {frame}")
        self._note(frame)

    def _note(self, frame: dict[str, Any]) -> None:
        if frame["event"] == "user.message":
            self._run_id = frame["metadata"]["run_id"]
        told = EVENTS.get(frame["event"])
        if told is not None and "seq" in frame:
            step = 0 if told == "trace_completed" else frame["metadata"].get("step", 1)
            self.seen_at[self._run_id, told, step] = time.perf_counter()

    async def talk(self, turns: int, start_at: float, period_s: float) -> None:
        for number in range(turns):
            await asyncio.sleep(start_at + number * period_s - time.perf_counter())
            await self.take_turn(f"Turn {number} of {self.session_id}")


class Viewer:
    """Watches everything. `seen_at` tells when it had each step."""

    def __init__(self, socket: ClientConnection) -> None:
        self.seen_at: dict[Step, float] = {}
        self._socket = socket
        self._ids: set[str] = set()

    @classmethod
    async def come(cls, url: str) -> Self:
        viewer = cls(await _dial(f"{url}ws/traces/"))
        await viewer._socket.recv()
        return viewer

    async def watch(self, wanted: set[Step]) -> None:
        """Until it has seen these. Raises `TurnLostError`, `TimeoutError`."""
        while not wanted <= self.seen_at.keys():
            async with asyncio.timeout(TURN_S):
                self._note(orjson.loads(await self._socket.recv()))

    async def go_on(self) -> None:
        while True:
            self._note(orjson.loads(await self._socket.recv()))

    def _note(self, frame: dict[str, Any]) -> None:
        if frame["message_id"] in self._ids:
            raise TurnLostError(f"twice: {frame}")
        self._ids.add(frame["message_id"])
        told, data = frame["event_type"], frame["data"]
        if told in EVENTS.values():
            step = 0 if told == "trace_completed" else data["metadata"]["step"]
            self.seen_at[data["trace_id"], told, step] = time.perf_counter()

    async def close(self) -> None:
        await self._socket.close()


@dataclass(slots=True)
class Lags:
    """Milliseconds; of a viewer at the server of the runs, and of one at another server."""

    here: list[float] = field(default_factory=list)
    there: list[float] = field(default_factory=list)
    turns_per_s: float = 0.0


async def talk_at(talkers: Sequence[Talker], turns: int, turns_per_s: float) -> float:
    """All talk by turns, at this rate together; the seconds that it took."""
    period_s, began = len(talkers) / turns_per_s, time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number, talker in enumerate(talkers):
            tasks.create_task(talker.talk(turns, began + number / turns_per_s, period_s))
    return time.perf_counter() - began


async def watch(site: Site, scale: Scale, **environment: str) -> Lags:
    """Two servers of their own."""
    lags = Lags()
    with site.start(AGENT, **environment) as owner, site.start(AGENT, **environment) as other:
        talkers = [await Talker.begin(owner.url) for _ in range(scale.clients)]
        viewers = [await Viewer.come(each.url) for each in (owner, other)]
        watching = [asyncio.create_task(viewer.go_on()) for viewer in viewers]
        await talk_at(talkers, scale.first, scale.turns_per_s)
        before = {step for talker in talkers for step in talker.seen_at}
        took_s = await talk_at(talkers, scale.turns, scale.turns_per_s)
        lags.turns_per_s = scale.clients * scale.turns / took_s
        said = {step: at for talker in talkers for step, at in talker.seen_at.items()}
        for viewer, task, found in zip(viewers, watching, (lags.here, lags.there), strict=True):
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
            await viewer.watch(set(said))
            found += [
                (viewer.seen_at[step] - at) * 1000
                for step, at in said.items()
                if step not in before
            ]
            await viewer.close()
        for talker in talkers:
            await talker.socket.close()
    return lags


def figures_of(how: str, rounds: Sequence[Lags]) -> list[Figure]:
    here = [quantiles(each.here) for each in rounds]
    there = [quantiles(each.there) for each in rounds]
    target = TARGETS_MS[how]
    return [
        Figure.of("a viewer at the same server, p50", how, [p50 for p50, _ in here], "ms"),
        Figure.of(
            "a viewer at the same server, p99", how, [p99 for _, p99 in here], "ms", target=target
        ),
        Figure.of("a viewer at another server, p50", how, [p50 for p50, _ in there], "ms"),
        Figure.of(
            "a viewer at another server, p99", how, [p99 for _, p99 in there], "ms", target=target
        ),
        Figure.of("turns a second", how, [each.turns_per_s for each in rounds], "/s"),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    redis_or_not.run(
        arguments,
        about=__doc__,
        title="Viewers of all traces",
        full=FULL,
        quick=QUICK,
        measure=watch,
        figures_of=figures_of,
    )


if __name__ == "__main__":
    main()
