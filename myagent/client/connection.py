"""Keeps a conversation connected: dials, resumes, sends again, and gives up in the end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from myagent.client.conversation import Conversation, Lost
from myagent.client.errors import ClientError, ConnectionFailed, GaveUp
from myagent.client.link import Link, Unreachable
from myagent.client.outbox import Outbox, Request
from myagent.client.streams import ConnectionChanged, ConnectionState, Event, Streams
from myagent.protocol.server_events import Connected, ServerEvent
from myagent.sentence import Sentence

OPENING_S = 30.0
"""Seconds that opening a session may take: after a crash the server waits for a lease to expire."""

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0

STEADY_S = 10.0
"""A connection that lasted this many seconds was stable: the next attempt is made at once."""


@dataclass(frozen=True)
class Address:
    """Where the service is, and how long to try to come back to it."""

    url: str
    token: str | None = field(repr=False)
    give_up_after_s: float


def delays() -> Iterator[float]:
    """Seconds to wait: doubling up to a limit, with jitter so that clients spread out."""
    delay_s = FIRST_DELAY_S
    while True:
        yield delay_s * random.uniform(0.5, 1.0)
        delay_s = min(delay_s * 2, LONGEST_DELAY_S)


class Connection:
    """`run` until it raises a `ClientError` or the session has ended.

    `on_event` gets every new event in order, once the session is open.
    """

    def __init__(
        self,
        address: Address,
        conversation: Conversation,
        outbox: Outbox,
        streams: Streams,
        on_event: Callable[[Event], Any],
    ) -> None:
        self.state = ConnectionState.CONNECTING
        self.opened = asyncio.Event()
        self._address = address
        self._conversation = conversation
        self._outbox = outbox
        self._streams = streams
        self._on_event = on_event
        self._wake = asyncio.Event()
        self._deadline: float | None = None

    def wake(self) -> None:
        """Wakes the sender: there may be something to send."""
        self._wake.set()

    def add(self, request: Request) -> None:
        self._outbox.add(request)
        self.wake()

    async def run(self) -> None:
        """Cancelling closes the socket within 2 seconds."""
        loop = asyncio.get_running_loop()
        waits = delays()
        while not self._conversation.is_ended:
            started_at, last_seq = loop.time(), self._conversation.last_seq
            try:
                await self._connect_once()
            except Lost as lost:
                if isinstance(lost, Unreachable) and not self.opened.is_set():
                    raise ConnectionFailed(*lost.args) from lost
                is_good = self._conversation.last_seq > last_seq
                if is_good or loop.time() - started_at > STEADY_S:
                    waits = delays()
                await self._pause(lost, next(waits))
        self._change(ConnectionChanged(state=ConnectionState.CLOSED))

    async def _pause(self, lost: Lost, delay_s: float) -> None:
        reason: str = lost.args[0]
        now = asyncio.get_running_loop().time()
        if self._deadline is None:
            self._deadline = now + self._address.give_up_after_s
        if now + delay_s >= self._deadline:
            raise self._give_up(reason)
        state = ConnectionState.RECONNECTING
        self._change(
            ConnectionChanged(
                state=state,
                reason=reason,
                retry_in_s=delay_s,
                code=lost.code,
                close_code=lost.close_code,
            )
        )
        await asyncio.sleep(delay_s)

    def _give_up(self, reason: str) -> GaveUp:
        waited_s = self._address.give_up_after_s
        return GaveUp(
            Sentence(
                "Gave up after {seconds} seconds. {reason}", seconds=f"{waited_s:g}", reason=reason
            )
        )

    async def _connect_once(self) -> None:
        """One socket's life; ends with `Lost`, a `ClientError`, or the session."""
        link: Link | None = None
        try:
            try:
                async with asyncio.timeout_at(self._deadline):
                    link = await Link.dial(self._address.url, self._address.token)
                    await self._open(link)
            except TimeoutError as error:
                raise self._give_up("The service does not answer.") from error
            self._deadline = None
            await self._converse(link)
        finally:
            if link is not None:
                await link.close()

    async def _open(self, link: Link) -> None:
        self._conversation.restart()
        self._outbox.restart()
        is_connected = False
        try:
            async with asyncio.timeout(OPENING_S):
                while not self._conversation.is_attached:
                    event = await link.receive()
                    if isinstance(event, Connected):
                        is_connected = True
                        await link.send(self._conversation.opening())
                    # Until then the server can only say why it is about to close.
                    if is_connected:
                        self._take(event)
        except TimeoutError as error:
            raise Lost(Sentence("The service does not open the session.")) from error
        self._change(ConnectionChanged(state=ConnectionState.CONNECTED))
        self.opened.set()

    async def _converse(self, link: Link) -> None:
        writer = asyncio.create_task(self._write(link))
        try:
            while not self._conversation.is_ended:
                await self._streams.room()
                self._take(await link.receive())
        finally:
            writer.cancel()
            (failure,) = await asyncio.gather(writer, return_exceptions=True)
            if isinstance(failure, Exception):
                raise failure

    def _take(self, event: ServerEvent) -> None:
        taken = self._conversation.take(event)
        if taken is None:
            return
        self._outbox.take(taken, asyncio.get_running_loop().time())
        self._on_event(taken)
        self.wake()

    async def _write(self, link: Link) -> None:
        """Sends due requests once the replay is complete.

        It ends silently when the socket is lost: the reading task reports that.
        """
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._wake.clear()
                if self._conversation.is_caught_up:
                    for request in self._outbox.due(loop.time()):
                        request.is_sent = True
                        await link.send(request.frame)
                await self._woken(self._outbox.wait_s(loop.time()))
        except Lost:
            return
        except Exception:
            link.abort()
            raise

    async def _woken(self, timeout_s: float | None) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def _change(self, change: ConnectionChanged) -> None:
        if change.state is ConnectionState.CONNECTED and self.state is change.state:
            return
        self.state = change.state
        self._on_event(change)


def ended(error: BaseException | None) -> ClientError | None:
    """The error for readers when `run` has ended in this way."""
    if error is None or isinstance(error, ClientError):
        return error
    return ClientError(Sentence("The client failed; the cause is attached."))
