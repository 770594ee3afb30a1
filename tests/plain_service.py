"""A service that knows nothing of the site: a plain server written with the websockets library.

It speaks the events dialect without `seq`, and does what a message's first word says.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

PADDING = "x" * 60_000


def event(kind: str, **fields: Any) -> str:
    return json.dumps({"event": kind, **fields})


async def talk(socket: ServerConnection) -> None:
    await socket.send(event("system.connected", metadata={"connection_id": "its own"}))
    async for text in socket:
        asked = json.loads(text)
        if asked["event"] == "user.create_session":
            await socket.send(event("agent.session_created", session_id="s1"))
        else:
            await answer(socket, *asked["content"].split())


async def answer(socket: ServerConnection, verb: str, argument: str = "") -> None:
    match verb:
        case "headers":
            request = socket.request
            assert request is not None
            await socket.send(
                event("agent.final_answer", content=dict(request.headers.raw_items()))
            )
        case "garbage":
            for frame in ("no json", b"\0\1", "[1]")[: int(argument)]:
                await socket.send(frame)
            await socket.send(event("agent.final_answer", content="after the garbage"))
        case "oversized":
            await socket.send(event("agent.final_answer", content="x" * 1024 * 1024))
        case "close":
            await socket.send(event("agent.final_answer", content="goodbye"))
            await socket.close(int(argument))
        case "deaf":
            await asyncio.Event().wait()
        case "flood":
            for number in range(int(argument)):
                await socket.send(event("agent.partial_answer", content=PADDING))
                await asyncio.to_thread(Path(os.environ["SENT"]).write_text, str(number + 1))
        case _:
            await socket.send(event("agent.partial_answer", content=verb))
            await socket.send(event("agent.final_answer", content=f"You said {verb}."))


async def main(port: int) -> None:
    async with serve(talk, "127.0.0.1", port, max_queue=1) as server:
        print("listens", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
