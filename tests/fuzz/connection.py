"""A connection to our own server, or to a worker, without a network: on a transport in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from typing import Any

from uvicorn.server import ServerState

from agents.runtime.server import Configuration, configuration

MOST_TURNS = 200
"""Of the event loop, for what arrived together."""

QUIET_TURNS = 4
"""In a row without anything to do: all that was sent is answered."""


class Transport(asyncio.Transport):
    """Takes everything, at once."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.7", 1), "sockname": ("192.0.2.1", 8000)})
        self.written = bytearray()
        self.protocol: Any = None
        self._is_closing = False

    def write(self, data: Any) -> None:
        self.written += data

    def write_eof(self) -> None:
        """Nothing more comes."""

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    abort = close

    def pause_reading(self) -> None:
        """It does not read on its own."""

    resume_reading = pause_reading

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol

    def get_write_buffer_size(self) -> int:
        return 0


async def _application(scope: Any, receive: Any, send: Any) -> None:
    """Answers requests with what they sent, and each text of a socket with the same."""
    if scope["type"] == "http":
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
        return
    await receive()
    await send({"type": "websocket.accept", "has_heartbeat": True})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("is_flood"):
            await send({"type": "websocket.close", "code": 4029})
            return
        await send({"type": "websocket.send", "text": message.get("text") or ""})


class _Failures:
    """What nobody caught, as the event loop and the server tell it."""

    def __init__(self) -> None:
        self.found: list[Any] = []

    def handle(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.found.append(context.get("exception") or context["message"])


@cache
def _configured() -> Configuration:
    made = configuration(_application, is_debug=False)
    made.load()
    return made


def deliver(pieces: Sequence[bytes]) -> bytes:
    """What the server wrote. Raises what nobody caught; no connection is left, and no task."""
    return asyncio.run(_deliver(pieces, _configured()))


async def _deliver(pieces: Sequence[bytes], config: Configuration) -> bytes:
    failures, state, transport = _Failures(), ServerState(), Transport()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(failures.handle)
    made: Any = config.http_protocol_class
    transport.protocol = made(config=config, server_state=state, app_state={})
    transport.protocol.connection_made(transport)
    for piece in pieces:
        if not transport.is_closing():
            transport.protocol.data_received(piece)
            await _turns(state, transport)
    transport.protocol.connection_lost(None)
    await _turns(state, transport)
    assert not failures.found, failures.found
    assert not state.connections and not state.tasks
    return bytes(transport.written)


async def _turns(state: ServerState, transport: Transport) -> None:
    quiet, before = 0, (-1, -1)
    for _ in range(MOST_TURNS):
        await asyncio.sleep(0)
        now = (len(transport.written), len(state.tasks))
        quiet, before = (quiet + 1 if now == before else 0), now
        if quiet == QUIET_TURNS:
            return


class _Run:
    """A run that a worker carries out, as the link sees it."""

    def __init__(self) -> None:
        self.broken: list[Exception] = []
        self.has_ended = False

    def on_steps(self, steps: Any, attempt: Any) -> None:
        attempt.accept()

    def on_step_started(self, step: int) -> None:
        assert step >= 0

    def on_text(self, step: int, text: str) -> None:
        text.encode()

    def on_stopped(self, stopped: Any) -> None:
        self.has_ended = True

    def on_history_needed(self) -> None:
        self.has_ended = True

    def on_lost(self, attempt: Any, *, has_died: bool) -> None:
        self.has_ended = True

    def on_broken(self, error: Exception) -> None:
        self.broken.append(error)


def hear(pieces: Sequence[bytes]) -> None:
    """A server's link hears this of a worker that has a run. Raises what nobody caught."""
    asyncio.run(_hear(pieces))


async def _hear(pieces: Sequence[bytes]) -> None:
    from agents.log.fold import History
    from agents.runs.link import Link, RunPlace
    from myagent.models.base import Usage
    from myagent.steps import Resume
    from myagent.worker.protocol import LinkError, RunKey

    failures, transport, run = _Failures(), Transport(), _Run()
    asyncio.get_running_loop().set_exception_handler(failures.handle)
    link = Link()
    link.connection_made(transport)
    place = RunPlace("r", 1, "")
    resume = Resume(0, (), Usage())
    link.start(RunKey("s", 1, 1), History(1000), resume, run, place=place, is_continued=False)
    for piece in pieces:
        if not transport.is_closing():
            link.data_received(piece)
            await asyncio.sleep(0)
    link.connection_lost(None)
    assert link._farewell is not None
    await link._farewell
    assert not failures.found, failures.found
    assert all(isinstance(error, LinkError) for error in run.broken), run.broken
    assert run.has_ended or run.broken
    assert not link.running
