"""The floor of a WebSocket server: a bare ASGI echo."""

from __future__ import annotations

from bench.baselines import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
