"""A link: this server's connection to a worker, on which it carries out runs.

Longer than other modules: the connection, its life and what comes over it are one asyncio protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import structlog

from agents.log.fold import History
from agents.runs.attempts import Attempt, Receiver
from agents.runs.remote import Remote, connected, is_of_the_network, is_refusal
from agents.runtime.local_sockets import connected_to, process_behind
from agents.runtime.process import identity_of, is_alive, until_gone
from myagent.inner_spans import RunPlace
from myagent.steps import Resume
from myagent.worker import codec, protocol
from myagent.worker.framing import FrameReader, FrameTooLarge, framed
from myagent.worker.protocol import (
    AgentInfo,
    BadRunFrame,
    FromServer,
    FromWorker,
    LinkError,
    Report,
    RunKey,
)

logger = structlog.get_logger(__name__)

PING_S = 1.0
"""Seconds between two questions whether the worker still answers."""

SILENT_AFTER_S = 1.0
"""Seconds without an answer from which on a worker counts as silent."""

MOST_UNREAD_BYTES = 64 * 1024 * 1024
"""Bytes of unread frames above which the link is given up."""

DEATH_S = 0.5
"""Seconds that a process may take to end after it closed its link, or to answer if it lives."""


LIFE_S = 0.2
"""Seconds between two checks whether a process that is not ready yet is still alive."""


class LinkFailed(Exception):
    """No usable worker answers at an address; the text gives the reason."""


class Link(asyncio.Protocol):
    """A connection to a worker; `dial` returns it once the worker has described its agent.

    `send` and similar methods do nothing once it has ended; then `on_closed` is called.
    """

    def __init__(self, process: str | None = None, *, remote: Remote | None = None) -> None:
        """`process`: the identity of the process at the other end, if it is known.

        `remote`: where it was dialled over TCP; its pid means nothing here.
        """
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._frames = FrameReader()
        self._ready: asyncio.Future[protocol.Ready] = self._loop.create_future()
        self._attempts: dict[str, Attempt] = {}
        self._known: dict[str, tuple[int, int]] = {}
        """What the worker has of a session's history: its generation and end."""
        self._process = process
        self._remote = remote
        self._peer, self._role = "", ""
        self._is_cut_off = False
        """Whether the link ended for a reason other than the worker's end."""
        self._pings = 0
        self._pinged_at: float | None = None
        self._pulse: asyncio.TimerHandle | None = None
        self._farewell: asyncio.Task[None] | None = None
        self.agent = AgentInfo("")
        self.instance_id = ""
        self.pid = 0
        self.report = Report()
        self._worst_lag_ms = 0.0
        self.is_draining = False
        self.is_debugging = False
        self.is_closed = False
        self._has_closed = asyncio.Event()
        self.on_closed: Callable[[Link], None] = lambda link: None

    # Life.

    async def _greet(self, peer: str, role: str) -> None:
        self._peer, self._role = peer, role
        hello = protocol.Hello(protocol.VERSION, peer, role)  # type: ignore[arg-type]
        self.send(hello)
        self._watch_life()
        ready = await self._ready
        self.agent, self.instance_id, self.pid = ready.agent, ready.instance_id, ready.pid
        if self._remote is None:
            self._process = self._process or identity_of(ready.pid)
        self._ping()

    def _watch_life(self) -> None:
        """Watches until the worker is ready: a child of a dead process may keep the socket open."""
        if self._process is None or self._ready.done():
            return
        if is_alive(self._process):
            self._loop.call_later(LIFE_S, self._watch_life)
        else:
            self._ready.set_exception(LinkFailed("its process has ended"))

    def close(self) -> None:
        """Ends the link; the worker stops what it does for this server. May be called twice."""
        self._is_cut_off = True
        if self._transport is not None:
            self._transport.abort()

    async def until_closed(self) -> None:
        """Waits until the link has ended. Cancelling is safe."""
        await self._has_closed.wait()

    @property
    def silent_for_s(self) -> float:
        """Seconds without an answer from the worker; 0.0 if it answers or is being debugged."""
        if self._pinged_at is None or self.is_debugging:
            return 0.0
        silence_s = self._loop.time() - self._pinged_at
        return silence_s if silence_s > SILENT_AFTER_S else 0.0

    def take_lag_ms(self) -> float:
        """How late the worker's event loop was at worst since the last call, or still is: while it
        is blocked it can't say so itself.
        """
        worst_ms, self._worst_lag_ms = self._worst_lag_ms, 0.0
        return max(worst_ms, round(self.silent_for_s * 1000, 1))

    @property
    def process(self) -> str | None:
        """The identity of the worker's process; None if it is not known here."""
        return self._process

    @property
    def running(self) -> int:
        """This server's runs on the worker."""
        return len(self._attempts)

    @property
    def has_suspect(self) -> bool:
        """Whether a quarantined run is here."""
        return any(attempt.is_quarantined for attempt in self._attempts.values())

    # Runs.

    def start(
        self,
        key: RunKey,
        history: History,
        resume: Resume,
        receiver: Receiver,
        *,
        place: RunPlace,
        is_continued: bool,
    ) -> Attempt:
        """Gives a run to the worker, with the new part of the session's history.

        If it raises, nothing was started.
        """
        generation, at = self._known.get(key.session_id, (0, 0))
        if generation != history.generation or at < history.first:
            at = history.first
        attempt = Attempt(
            key,
            receiver,
            send=self.send,
            release=self.release,
            has_whole_history=at == history.first,
        )
        self._attempts[key.session_id] = attempt
        self._known[key.session_id] = (history.generation, history.end)
        start = protocol.Start(
            key,
            history.generation,
            history.first,
            at,
            history.messages(at),
            resume,
            is_continued,
            place.run_id,
            place.attempt,
            place.traceparent,
        )
        try:
            self.send(start)
        except FrameTooLarge as error:
            self._known.pop(key.session_id, None)
            # Deferred: the caller does not have the attempt yet.
            self._loop.call_soon(
                self._take_of_run, protocol.Stopped(key, "too_large", detail=str(error))
            )
        except BaseException:
            self._known.pop(key.session_id, None)
            self.release(attempt)
            raise
        return attempt

    def release(self, attempt: Attempt) -> None:
        """Forgets the attempt: further messages about it are dropped."""
        if self._attempts.get(attempt.key.session_id) is attempt:
            del self._attempts[attempt.key.session_id]

    def forget(self, session_id: str, epoch: int) -> None:
        """To be called when the session leaves this server's memory."""
        if self._known.pop(session_id, None) is not None:
            self.send(protocol.Forget(session_id, epoch))

    def drain(self) -> None:
        """Asks the worker to finish what it has and to end."""
        self.send(protocol.Drain())

    # Frames.

    def send(self, message: FromServer) -> None:
        """Raises `FrameTooLarge`, sending nothing."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(framed(codec.encode(message)))
        if transport.get_write_buffer_size() > MOST_UNREAD_BYTES:
            logger.warning("worker_does_not_read", pid=self.pid)
            self.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._pinged_at is not None:
            self._pinged_at = self._loop.time()
        try:
            for frame in self._frames.feed(data):
                self._hear(frame)
        except (LinkError, FrameTooLarge) as error:
            self._give_up(error)
        except Exception as error:
            logger.exception("link_failed", pid=self.pid)
            self._give_up(LinkError(str(error)))

    def _hear(self, frame: bytes) -> None:
        try:
            message = codec.decode_from_worker(frame)
        except BadRunFrame as error:
            if attempt := self._attempt(error.key):
                attempt.give_up(error)
            return
        if isinstance(message, protocol.OF_A_RUN):
            self._take_of_run(message)
        else:
            self._take_news(message)

    def _give_up(self, error: Exception) -> None:
        logger.error("link_given_up", pid=self.pid, error=str(error))
        if not self._ready.done():
            self._ready.set_exception(LinkFailed(str(error)))
        self.close()

    def _take_of_run(self, message: protocol.OfARun) -> None:
        if isinstance(message, protocol.NeedHistory):
            self._known.pop(message.key.session_id, None)
        elif isinstance(message, protocol.Stopped) and message.kind == "draining":
            # Even if the worker has not said so: it would refuse the run again and again.
            self.is_draining = True
        if attempt := self._attempt(message.key):
            attempt.hear(message)

    def _take_news(self, message: FromWorker) -> None:
        """Handles what the worker says about itself."""
        match message:
            case protocol.Pong(number, report):
                self.report = report
                self._worst_lag_ms = max(self._worst_lag_ms, report.lag_ms)
                if number == self._pings:
                    self._pinged_at = None
            case protocol.Draining():
                self.is_draining = True
            case protocol.Debugging(is_on):
                self.is_debugging = is_on
            case protocol.Ready() if not self._ready.done():
                self._ready.set_result(message)
            case protocol.Unfit(version) if not self._ready.done():
                sentence = f"the worker speaks version {version}, not {protocol.VERSION}"
                self._ready.set_exception(LinkFailed(sentence))
            case _:
                raise LinkError(f"unexpected here: {message!r}")

    def _attempt(self, key: RunKey) -> Attempt | None:
        """The attempt that a frame is about; None if it is not current."""
        attempt = self._attempts.get(key.session_id)
        return attempt if attempt is not None and attempt.key == key else None

    def _ping(self) -> None:
        if self._pinged_at is None:
            self._pings += 1
            self._pinged_at = self._loop.time()
            self.send(protocol.Ping(self._pings))
        self._pulse = self._loop.call_later(PING_S, self._ping)

    # The end.

    def connection_lost(self, error: Exception | None) -> None:
        self.is_closed = True
        self._is_cut_off |= is_of_the_network(error)
        self._has_closed.set()
        if self._pulse is not None:
            self._pulse.cancel()
        if not self._ready.done():
            self._ready.set_exception(LinkFailed(_why_hung_up(error)))
        # The waiting task may have been cancelled.
        if not self._ready.cancelled():
            self._ready.exception()
        self._farewell = self._loop.create_task(self._tell_lost())

    async def _tell_lost(self) -> None:
        """Tells each run once it is known whether the process has died."""
        has_died = self._attempts and not self.is_draining and await self._is_gone()
        attempts, self._attempts = list(self._attempts.values()), {}
        self.on_closed(self)
        suspects = [attempt for attempt in attempts if attempt.is_quarantined]
        for attempt in attempts:
            is_to_blame = bool(has_died) and (not suspects or attempt.is_quarantined)
            attempt.hear_lost(has_died=is_to_blame)

    async def _is_gone(self) -> bool:
        """Whether the worker's process has died; its sockets close a moment before it ends."""
        if self._remote is not None:
            return not self._is_cut_off and not await self._is_same_at(self._remote)
        return self._process is None or await until_gone(self._process, DEATH_S)

    async def _is_same_at(self, remote: Remote) -> bool:
        """Whether the worker still answers, so that only the way to it broke.

        What is between the machines resets connections just as the system of a dead process does.
        """
        try:
            again = await dial(remote, self._peer, role=self._role, timeout_s=DEATH_S)
        except LinkFailed:
            return False
        again.close()
        return (again.instance_id, again.pid) == (self.instance_id, self.pid)


def _why_hung_up(error: Exception | None) -> str:
    return f"the worker refused this end: {error}" if is_refusal(error) else "the worker hung up"


async def dial(
    address: Path | Remote, peer: str, *, role: str = "server", timeout_s: float | None = 10.0
) -> Link:
    """A link to the worker that listens on a Unix socket, or far away, once it is ready.

    `peer` is what the worker's log calls this end. Raises `LinkFailed`, also
    when the process that listens has ended meanwhile. Cancelling is safe.
    """
    try:
        async with asyncio.timeout(timeout_s):
            link = await _connected(address)
            try:
                await link._greet(peer, role)
            except BaseException:
                link.close()
                raise
    except TimeoutError as error:
        raise LinkFailed("it did not answer in time") from error
    except OSError as error:
        raise LinkFailed(error.strerror or str(error)) from error
    return link


async def _connected(address: Path | Remote) -> Link:
    """Raises `OSError`."""
    if isinstance(address, Remote):
        return await connected(address, partial(Link, remote=address))
    dialling = await connected_to(address)
    process = process_behind(dialling)
    loop = asyncio.get_running_loop()
    _, link = await loop.create_unix_connection(lambda: Link(process), sock=dialling)
    return link
