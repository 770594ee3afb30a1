"""Clients that talk, watch conversations, or come and go: they keep the protocol's advice."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from bench.site.record import Account, Diary, Turn
from tests.recording import TERMINAL, Frame

SILENCE_S = 60.0
"""A socket that brings nothing for so long, not even a heartbeat, is given up."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
"""Between a client's attempts: doubled each time."""

GONE = (OSError, WebSocketException, TimeoutError)


class RefusedError(Exception):
    """The server did not do what was asked for, and says that it may be asked again."""


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


@dataclass(frozen=True, slots=True)
class Address:
    """Where a client comes in, and the headers that prove who it is."""

    url: str
    credentials: Mapping[str, str]


class Seat:
    """One client's place in one conversation at a time: it outlives its sockets."""

    def __init__(self, address: Address, diary: Diary) -> None:
        self.account = Account("")
        self._address = address
        self._diary = diary
        self._socket: ClientConnection | None = None

    async def begin(self) -> None:
        """A new conversation. One whose beginning was not told is left to the site."""
        await self._try(self._create)

    async def join(self, session_id: str) -> None:
        self.account = self._diary.open(session_id)
        await self._try(self._resume)

    async def come_back(self) -> None:
        """A new socket that has replayed what was missed."""
        await self._try(self._resume)

    async def send(self, event: str, **fields: Any) -> None:
        assert self._socket is not None
        frame = {"event": event, **fields}
        if self.account.session_id:
            frame["session_id"] = self.account.session_id
        await self._socket.send(orjson.dumps(frame).decode())

    async def receive(self) -> Frame:
        """Raises `RefusedError`, and `GONE` when the socket has ended."""
        assert self._socket is not None
        async with asyncio.timeout(SILENCE_S):
            frame: Frame = orjson.loads(await self._socket.recv())
        self.account.note(frame)
        if frame["event"] == "system.error":
            assert frame["metadata"]["retryable"], frame
            self._diary.refusals[frame["metadata"]["code"]] += 1
            raise RefusedError(frame["metadata"]["code"])
        return frame

    def cut(self) -> None:
        """As a network that fails does."""
        if self._socket is not None:
            self._diary.drops += 1
            self._socket.transport.abort()

    async def leave(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    def note_loss(self, error: BaseException) -> None:
        self._diary.refusals[name_of(error)] += 1

    async def _try(self, step: Callable[[], Any]) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._dial()
                await step()
                return
            except (*GONE, RefusedError) as error:
                if not isinstance(error, RefusedError):
                    self.note_loss(error)
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _dial(self) -> None:
        await self.leave()
        self._socket = await connect(
            self._address.url,
            additional_headers=self._address.credentials,
            compression=None,
            max_size=None,
            ping_interval=None,
            close_timeout=2,
        )

    async def _create(self) -> None:
        self.account = Account("")
        await self.send("user.create_session")
        while (frame := await self.receive())["event"] != "agent.session_created":
            pass
        self.account = self._diary.open(frame["session_id"])
        self.account.note(frame)

    async def _resume(self) -> None:
        await self.send("user.reconnect", metadata={"last_seq": self.account.last_seq})
        while (await self.receive())["event"] != "agent.replay_complete":
            pass


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

    async def _persist(self, step: Callable[[], Any]) -> None:
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


async def read_on(seat: Seat) -> None:
    """One more frame, or the way back to where frames come."""
    try:
        await seat.receive()
    except RefusedError:
        await seat.come_back()
    except GONE as error:
        seat.note_loss(error)
        await seat.come_back()


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


def name_of(error: BaseException) -> str:
    """How a refusal or a loss is counted."""
    if isinstance(error, RefusedError):
        return str(error)
    if isinstance(error, ConnectionClosed):
        return f"closed {error.rcvd.code if error.rcvd else 1006}"
    if isinstance(error, InvalidStatus):
        return f"handshake {error.response.status_code}"
    return type(error).__name__
