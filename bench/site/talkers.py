"""Clients that talk, watch conversations, or come and go: they keep the protocol's advice."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.site.record import Diary, Turn
from bench.site.seats import (
    FIRST_PAUSE_S,
    GONE,
    LONGEST_PAUSE_S,
    Address,
    RefusedError,
    Seat,
    read_on,
)
from tests.recording import TERMINAL, Frame


@dataclass(frozen=True, slots=True)
class Way:
    """How somebody talks. `script` is told to the model; the seconds are means of what is drawn.

    `drops`: the share of turns in the middle of which the connection is cut.
    """

    kind: str
    service: str
    script: str = ""
    think_s: float = 2.0
    drops: float = 0.0
    turns_a_session: int = 15


class Talker:
    """Takes turns, one after the other, in one conversation after the other."""

    def __init__(
        self, name: str, way: Way, address: Address, diary: Diary, dice: random.Random
    ) -> None:
        self.name = name
        self.way = way
        self.seat = Seat(address, diary)
        self._diary = diary
        self._dice = dice
        self._count = 0

    async def live(self, is_over: asyncio.Event) -> None:
        await self.seat.begin()
        length = self._dice.randint(1, self.way.turns_a_session)
        while not is_over.is_set():
            if len(self.seat.account.durable) and length == 0:
                await self._end_session()
                await self.seat.begin()
                length = self.way.turns_a_session
            if not await self._thinks(is_over):
                await self.take_turn()
                length -= 1

    async def _thinks(self, is_over: asyncio.Event) -> bool:
        """Whether it is over before the thought is."""
        try:
            async with asyncio.timeout(self._dice.expovariate(1 / self.way.think_s)):
                await is_over.wait()
        except TimeoutError:
            return False
        return True

    async def take_turn(self) -> None:
        """A message, until it has its end. It is sent again where that is what a client does."""
        message_id = f"{self.name}-{self._count}"
        self._count += 1
        call = f'{{"text": "{message_id}"}}'
        text = f"{message_id} {self.way.script.replace('CALL', call)}"
        turn = Turn(self.way.kind, message_id, time.perf_counter())
        self._diary.turns.append(turn)
        if self._dice.random() < self.way.drops:
            asyncio.get_running_loop().call_later(self._dice.uniform(0, 0.3), self.seat.cut)
        await self._persist(lambda: self._speak(turn, text))

    async def _speak(self, turn: Turn, text: str) -> None:
        self._catch_up(turn)
        if not turn.acknowledged:
            turn.sent += 1
            await self.seat.send(
                "user.message", content=text, metadata={"message_id": turn.message_id}
            )
        while not turn.ended:
            note(turn, await self.seat.receive())

    def _catch_up(self, turn: Turn) -> None:
        """What came while the client found its way back."""
        for frame in self.seat.account.durable:
            note(turn, frame)

    async def _end_session(self) -> None:
        await self._persist(self._close)

    async def _close(self) -> None:
        if not self.seat.account.has_ended:
            await self.seat.send("user.close_session")
        while not self.seat.account.has_ended:
            await self.seat.receive()

    async def _persist(self, step: Callable[[], Awaitable[None]]) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await step()
                return
            except RefusedError as error:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                if str(error) == "moved":
                    await self.seat.come_back()
            except GONE as error:
                self.seat.note_loss(error)
                await self.seat.come_back()


class SecondScreen:
    """Follows a talker's conversations from a socket of its own, at whichever server that is."""

    def __init__(self, talker: Talker, address: Address, diary: Diary) -> None:
        self.seat = Seat(address, diary)
        self._talker = talker

    async def live(self, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            session_id = self._talker.seat.account.session_id
            if not session_id or session_id == self.seat.account.session_id:
                await asyncio.sleep(0.2)
                continue
            await self.seat.join(session_id)
            await self._watch(is_over)

    async def _watch(self, is_over: asyncio.Event) -> None:
        while not (self.seat.account.has_ended or is_over.is_set()):
            await read_on(self.seat)


def note(turn: Turn, frame: Frame) -> None:
    """What a frame says of a turn, with the moment at which it came."""
    metadata, now = frame["metadata"], time.perf_counter()
    if frame["event"] == "agent.partial_answer":
        turn.first_text = turn.first_text or now
    elif metadata.get("message_id") != turn.message_id:
        return
    elif frame["event"] == "user.message":
        turn.acknowledged = turn.acknowledged or now
    elif frame["event"] in TERMINAL and not turn.ended:
        turn.ended, turn.end = now, frame["event"]
