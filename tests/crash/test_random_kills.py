"""Many clients, a runner that is killed again and again: every promise holds all the same."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from websockets.exceptions import ConnectionClosed

from tests.crash.conftest import Site
from tests.crash.witness import Witness, assert_promises, assert_valid_contexts, read_log
from tests.recording import TERMINAL
from tests.runners import Runner

pytestmark = pytest.mark.both_databases(when_long=True)

CLIENTS = 10
TURNS = 8
KILLS = 5
FRAMES_BETWEEN_KILLS = (60, 250)


class Town:
    """One runner at a time, and the number of frames that clients have received."""

    def __init__(self, site: Site, runner: Runner) -> None:
        self.runner = runner
        self.frames = 0
        self._site = site
        self._changed = asyncio.Event()

    async def kill_after(self, frames: int) -> None:
        goal = self.frames + frames
        while self.frames < goal:
            self._changed.clear()
            await self._changed.wait()
        self.runner.kill()
        self.runner = await self._site.start()

    def count(self) -> None:
        self.frames += 1
        self._changed.set()

    async def reattach(self, witness: Witness) -> None:
        """Tries until a runner takes the client in."""
        while True:
            try:
                await witness.reattach(self.runner.url)
                return
            except (OSError, ConnectionClosed):
                await asyncio.sleep(0.05)


class Citizen:
    """A client that keeps its promises: it resumes, and sends again what was not acknowledged."""

    def __init__(self, town: Town, witness: Witness, dice: random.Random, name: str) -> None:
        self.town = town
        self.witness = witness
        self.dice = dice
        self.name = name

    async def live(self) -> None:
        for turn in range(TURNS):
            first, second = f"{self.name}-{turn}", f"{self.name}-{turn}-more"
            both = [first, second] if self.dice.random() < 0.3 else [first]
            await self.get_through({id_: self._text(id_) for id_ in both})

    def _text(self, message_id: str) -> str:
        call = f'{{"text": "{message_id}"}}'
        return self.dice.choice(
            [
                f"plain {message_id}",
                f"slow {message_id} [[chunks=12 delay_ms=5]]",
                f"look {message_id} [[tool look {call}]]",
                f"charge {message_id} [[tool charge {call}]]",
                f"both {message_id} [[tool look {call}]] [[tool charge {call}]]",
            ]
        )

    async def get_through(self, messages: dict[str, str]) -> None:
        """Until each message has its end, whatever happens to the sockets."""
        while True:
            try:
                for message_id, text in messages.items():
                    if message_id not in self._acknowledged():
                        await self.witness.say(text, message_id=message_id)
                while not set(messages) <= self._ended():
                    await self.witness.recorder.receive()
                    self.town.count()
                return
            except ConnectionClosed:
                await self.town.reattach(self.witness)

    def _acknowledged(self) -> set[str]:
        return self._ids({"user.message"})

    def _ended(self) -> set[str]:
        return self._ids(TERMINAL)

    def _ids(self, events: set[str]) -> set[str]:
        return {
            frame["metadata"]["message_id"]
            for frame in self.witness.durable
            if frame["event"] in events
        }


@pytest.mark.parametrize("seed", [20])
async def test_promises_hold_through_kills_at_random_moments(site: Site, seed: int) -> None:
    dice = random.Random(seed)
    town = Town(site, await site.start())
    citizens = [
        Citizen(town, await Witness.arrive(town.runner.url), random.Random(dice.random()), f"c{i}")
        for i in range(CLIENTS)
    ]
    async with asyncio.TaskGroup() as tasks:
        lives = [tasks.create_task(citizen.live()) for citizen in citizens]
        killer = tasks.create_task(kill_at_random(town, dice))
        await asyncio.wait(lives)
        kills = await stop(killer)
    assert kills >= 3, "the clients were done too early for this to show anything"
    for citizen in citizens:
        session_id = citizen.witness.session_id
        assert_promises(site.database_url, session_id, citizen.witness)
        assert_messages_once(site, session_id)
        await citizen.witness.leave()
    assert_valid_contexts(site.fake.requests)
    effects = Counter((site.folder / "charge").read_text().split())
    assert set(effects.values()) == {1}


async def kill_at_random(town: Town, dice: random.Random) -> int:
    kills = 0
    try:
        for _ in range(KILLS):
            await town.kill_after(dice.randint(*FRAMES_BETWEEN_KILLS))
            kills += 1
    except asyncio.CancelledError:
        pass
    return kills


async def stop(killer: asyncio.Task[int]) -> int:
    killer.cancel()
    return await killer


def assert_messages_once(site: Site, session_id: str) -> None:
    log = read_log(site.database_url, session_id)
    accepted = [e["metadata"]["message_id"] for e in log if e["event"] == "user.message"]
    assert len(accepted) == len(set(accepted)) >= TURNS
