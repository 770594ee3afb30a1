"""A server that does what a test tells it, frame by frame: what a real one does rarely."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

SESSION = "5e551011-0000-4000-8000-000000000001"

Frame = dict[str, Any]


class Peer:
    """One socket, seen from the server. Frames that a client sent are in `received`."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.received: list[Frame] = []

    async def say(self, event: str, seq: int | None = None, **fields: Any) -> None:
        frame = {"event": event, "content": fields.pop("content", ""), "metadata": {}} | fields
        if not event.startswith("system."):
            frame["session_id"] = SESSION
        if seq is not None:
            frame |= {"seq": seq, "event_id": f"{SESSION}:{seq}"}
        await self.socket.send(json.dumps(frame))

    async def hear(self, event: str) -> Frame:
        """The next frame, which must be of this kind."""
        frame: Frame = json.loads(await self.socket.recv())
        self.received.append(frame)
        assert frame["event"] == event, frame
        return frame

    async def create(self) -> None:
        """Lets a client in that wants a new session."""
        await self.say("system.connected", metadata={"protocol": 1})
        await self.hear("user.create_session")
        await self.say("agent.session_created", 1)

    async def resume(self, **metadata: Any) -> int:
        """Lets a client in that comes back; the `last_seq` it gave."""
        await self.say("system.connected", metadata={"protocol": 1})
        asked = await self.hear("user.reconnect")
        await self.say("agent.session_resumed", metadata={"status": "idle"} | metadata)
        last_seq: int = asked["metadata"]["last_seq"]
        return last_seq

    async def caught_up(self) -> None:
        await self.say("agent.replay_complete")

    async def refuse(self, code: str, sentence: str = "No.", **metadata: Any) -> None:
        await self.say("system.error", content=sentence, metadata={"code": code} | metadata)

    async def echo(self, seq: int) -> Frame:
        """Accepts the next message, at this place of the log."""
        message = await self.hear("user.message")
        metadata = {"message_id": message["metadata"]["message_id"], "run_id": "r", "position": 0}
        await self.say("user.message", seq, content=message["content"], metadata=metadata)
        return metadata

    async def answer(self, seq: int, metadata: Frame, text: str) -> None:
        await self.say("agent.final_answer", seq, content=text, metadata=metadata)

    async def until_left(self) -> None:
        await self.socket.wait_closed()


Script = Callable[[Peer], Awaitable[None]]


class ScriptedServer:
    """Plays one script a socket, in order; a socket without one is closed with 1000.

    On leaving, what a script failed with is raised.
    """

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self._failures: list[Exception] = []
        self.sockets = 0

    async def __aenter__(self) -> Self:
        self._server = await serve(self._play, "127.0.0.1", 0, compression=None, close_timeout=1)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        await self._server.wait_closed()
        if self._failures:
            raise ExceptionGroup("scripts failed", self._failures)

    async def _play(self, socket: ServerConnection) -> None:
        self.sockets += 1
        if not self._scripts:
            return
        script = self._scripts.pop(0)
        try:
            async with asyncio.timeout(30):
                await script(Peer(socket))
        except ConnectionClosed:
            pass  # The client left: the test says whether it should have.
        except Exception as failure:
            self._failures.append(failure)
