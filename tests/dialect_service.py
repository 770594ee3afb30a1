"""A service that knows nothing of the site: a plain server of the events dialect, without `seq`.

Its sessions have ids of its own, and outlive sockets. It does what a message's first word says.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

PADDING = "x" * 60_000

sessions: set[str] = set()


def event(kind: str, session_id: str | None = None, **fields: Any) -> str:
    named = {} if session_id is None else {"session_id": session_id}
    return json.dumps({"event": kind, **named, **fields})


class Peer:
    """One socket."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.heard: list[Any] = []

    async def talk(self) -> None:
        await self.say(event("system.connected", metadata={"connection_id": "its own"}))
        async for text in self.socket:
            asked = json.loads(text)
            self.heard.append(asked)
            match asked["event"]:
                case "user.create_session":
                    await self.begin(asked.get("metadata", {}).get("client", {}))
                case "user.reconnect":
                    await self.resume(asked["session_id"])
                case "user.message":
                    await self.answer(asked["session_id"], *asked["content"].split())
                case other:
                    await self.say(event("agent.heard", asked["session_id"], content=other))

    async def say(self, frame: str) -> None:
        await self.socket.send(frame)

    async def begin(self, client: dict[str, Any]) -> None:
        match client:
            case {"is_silent": True}:
                return
            case {"is_refused": True}:
                await self.say(event("system.error", metadata={"code": "busy"}))
                return
            case {"waits_for": pipe}:
                await asyncio.to_thread(Path(pipe).read_bytes)
        session_id = client.get("as") or str(uuid.uuid4())
        sessions.add(session_id)
        await self.say(event("agent.session_created", session_id))

    async def resume(self, session_id: str) -> None:
        if session_id in sessions:
            await self.say(event("agent.session_resumed", session_id))
        else:
            metadata = {"code": "unknown_session", "session_id": session_id}
            await self.say(event("system.error", metadata=metadata))

    async def answer(self, session_id: str, verb: str, argument: str = "") -> None:
        match verb:
            case "half":
                await self.say(event("agent.partial_answer", session_id, content="half of"))
                await asyncio.Event().wait()
            case "deaf":
                await asyncio.Event().wait()
            case "heard":
                await self.say(event("agent.final_answer", session_id, content=self.heard))
            case "usurp":
                await self.say(event("agent.final_answer", argument, content="not mine"))
                await self.say(event("agent.session_created", argument))
                await self.say(event("agent.final_answer", session_id, content="usurped"))
            case "nameless":
                for _ in range(int(argument)):
                    await self.say(event("agent.final_answer", content="whose?"))
                await self.say(event("agent.final_answer", session_id, content="named"))
            case "notice":
                await self.say(event("system.notice", content="to everybody"))
            case "flood":
                for number in range(int(argument)):
                    await self.say(event("agent.partial_answer", session_id, content=PADDING))
                    await asyncio.to_thread(Path(os.environ["SENT"]).write_text, str(number + 1))
                await self.say(event("agent.final_answer", session_id, content="flooded"))
            case _:
                await self.say(event("agent.partial_answer", session_id, content=verb))
                await self.say(event("agent.final_answer", session_id, content=f"You said {verb}."))


async def main(port: int) -> None:
    async with serve(lambda socket: Peer(socket).talk(), "127.0.0.1", port, max_queue=1) as server:
        print("listens", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
