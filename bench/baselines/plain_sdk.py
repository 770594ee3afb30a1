"""What one writes by hand in an afternoon: the openai package used plainly, nothing kept."""

from __future__ import annotations

import json
import os
from typing import Any

from openai import AsyncOpenAI

from bench.baselines import Receive, Scope, Send

MODEL = os.environ["OPENAI_MODEL"]
client = AsyncOpenAI()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    messages: list[Any] = [{"role": "system", "content": "You are a helpful assistant."}]
    while (message := await receive())["type"] == "websocket.receive":
        messages.append({"role": "user", "content": message["text"]})
        answer = ""
        stream = await client.chat.completions.create(model=MODEL, messages=messages, stream=True)
        async for chunk in stream:
            if chunk.choices and (piece := chunk.choices[0].delta.content):
                answer += piece
                frame = json.dumps({"type": "chunk", "content": piece})
                await send({"type": "websocket.send", "text": frame})
        messages.append({"role": "assistant", "content": answer})
        frame = json.dumps({"type": "answer", "content": answer})
        await send({"type": "websocket.send", "text": frame})
