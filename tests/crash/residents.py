"""Clients of a site with several servers: they keep the protocol's advice, and write down all."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Sequence

from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.crash.witness import Witness
from tests.recording import TERMINAL, Frame, Recorder, durable

PAUSE_S = 0.1
"""A client's own pause before it tries again."""


class Refusal(Exception):
    """The server did not do what was asked for, and says that it may be asked again."""


class Resident:
    """One client. It comes back to the server that it calls home, or else to another.

    What is not acknowledged is sent again, with the same message id. `absences_s`: how long it was
    without a socket each time; `refusals`: the codes of what it was refused, and asked for again.
    """

    def __init__(self, name: str, urls: Sequence[str], recorder: Recorder, session_id: str) -> None:
        self.name = name
        self.turns = 0
        self.absences_s: list[float] = []
        self.refusals: list[str] = []
        self.witness = Witness(recorder, session_id)
        self._urls = urls
        self._has_turned = asyncio.Event()
        self._is_to_go_home = False
        self._known = 0
        self._told: defaultdict[str | None, set[str]] = defaultdict(set)

    @classmethod
    async def begin(cls, name: str, urls: Sequence[str]) -> Resident:
        """With a session of its own. `urls` are those of the servers, home first."""
        recorder = await Recorder.open(urls[0])
        return cls(name, urls, recorder, await recorder.create_session())

    @classmethod
    async def join(cls, name: str, urls: Sequence[str], session_id: str) -> Resident:
        resident = cls(name, urls, await Recorder.open(urls[0]), session_id)
        await resident.come_back()
        return resident

    def go_home(self) -> None:
        """Its next turn begins with a new socket."""
        self._is_to_go_home = True

    async def live(
        self, dice: random.Random, is_over: asyncio.Event, *, thinks_s: float = 0
    ) -> None:
        """Takes turns until it is over; thinks for up to so many seconds before each."""
        while not is_over.is_set():
            if self._is_to_go_home:
                self._is_to_go_home = False
                await self.come_back()
            if thinks_s:
                await asyncio.sleep(dice.uniform(0, thinks_s))
            await self.take_turn(_text_of(f"{self.name}-{self.turns}", dice))

    async def until_turns(self, count: int) -> None:
        while self.turns < count:
            self._has_turned.clear()
            await self._has_turned.wait()

    async def take_turn(self, text: str) -> None:
        """A message, until it has its end. It is sent again where that is what a client does."""
        message_id = f"{self.name}-{self.turns}"
        while not self._has(message_id, TERMINAL):
            try:
                if not self._has(message_id, {"user.message"}):
                    await self.witness.say(text, message_id=message_id)
                while not self._has(message_id, TERMINAL):
                    self._heed(await self.witness.recorder.receive())
            except Refusal:
                await asyncio.sleep(PAUSE_S)
            except ConnectionClosed:
                await self.come_back()
        self.turns += 1
        self._has_turned.set()

    async def see_all(self, last_seq: int) -> None:
        """Until it has so many entries, without any turn of its own."""
        while self.witness.last_seq < last_seq:
            try:
                self._heed(await self.witness.recorder.receive())
            except Refusal:
                await asyncio.sleep(PAUSE_S)
            except ConnectionClosed:
                await self.come_back()

    async def come_back(self) -> None:
        """Tries one server after the other until one has replayed what it missed."""
        begun = time.monotonic()
        while True:
            for url in self._urls:
                try:
                    await self._resume_at(url)
                    self.absences_s.append(time.monotonic() - begun)
                    return
                except (OSError, WebSocketException, Refusal, TimeoutError):
                    await asyncio.sleep(PAUSE_S)

    async def _resume_at(self, url: str) -> None:
        witness = self.witness
        await witness.recorder.socket.close()
        last_seq = witness.last_seq
        witness.turn_to(await Recorder.open(url))
        await witness.recorder.send(
            "user.reconnect", witness.session_id, metadata={"last_seq": last_seq}
        )
        while self._heed(await witness.recorder.receive())["event"] != "agent.replay_complete":
            pass

    def _heed(self, frame: Frame) -> Frame:
        """Raises `Refusal`."""
        if frame["event"] == "system.error":
            assert frame["metadata"]["retryable"], frame
            self.refusals.append(frame["metadata"]["code"])
            raise Refusal(self.refusals[-1])
        return frame

    def _has(self, message_id: str, events: set[str]) -> bool:
        seen = self.witness.seen
        for frame in durable(seen[self._known :], self.witness.session_id):
            self._told[frame["metadata"].get("message_id")].add(frame["event"])
        self._known = len(seen)
        return not events.isdisjoint(self._told[message_id])


def _text_of(message_id: str, dice: random.Random) -> str:
    call = f'{{"text": "{message_id}"}}'
    return dice.choice(
        [
            f"plain {message_id}",
            f"slow {message_id} [[chunks=12 delay_ms=5]]",
            f"look {message_id} [[tool look {call}]]",
            f"charge {message_id} [[tool charge {call}]]",
        ]
    )
