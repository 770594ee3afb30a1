"""The same app with no SDK at all: aiohttp and orjson, as little as a model call can cost."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson

from bench.baselines import Receive, Scope, Send

MODEL = os.environ["OPENAI_MODEL"]
URL = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
HEADERS = {
    "Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}",
    "Content-Type": "application/json",
}

_sessions: list[aiohttp.ClientSession] = []


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    messages: list[Any] = [{"role": "system", "content": "You are a helpful assistant."}]
    while (message := await receive())["type"] == "websocket.receive":
        messages.append({"role": "user", "content": message["text"]})
        answer = ""
        async for piece in ask(messages):
            answer += piece
            await send(_frame("chunk", piece))
        messages.append({"role": "assistant", "content": answer})
        await send(_frame("answer", answer))


async def leave() -> None:
    for session in _sessions:
        await session.close()


async def ask(messages: list[Any]) -> AsyncIterator[str]:
    """Yields the pieces of the model's answer."""
    if not _sessions:
        connector = aiohttp.TCPConnector(limit=0)
        _sessions.append(aiohttp.ClientSession(connector=connector))
    body = orjson.dumps({"model": MODEL, "stream": True, "messages": messages})
    async with _sessions[0].post(URL, data=body, headers=HEADERS) as response:
        async for line in response.content:
            if line.startswith(b"data: {"):
                choices = orjson.loads(line[6:])["choices"]
                if choices and (piece := choices[0]["delta"].get("content")):
                    yield piece


def _frame(kind: str, content: str) -> dict[str, Any]:
    text = orjson.dumps({"type": kind, "content": content}).decode()
    return {"type": "websocket.send", "text": text}
