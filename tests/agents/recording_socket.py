"""A socket without a network, and an agent that takes each step only when it is allowed to."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson

from agents.directory import Facts
from agents.log.entry import Logged
from agents.principals import Principal, key_of
from agents.sockets import rendering
from agents.transients import Problem, Transient
from myagent import Agent, create_react_agent, tool
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Completion, ToolSpec
from myagent.protocol import CloseCode, ErrorCode


class RecordingSocket:
    """An `agents.ports.Socket` that writes down what it is told."""

    why_not_forwarded = ""

    def __init__(self) -> None:
        self.connection_id = f"socket-{id(self)}"
        self.lang = "en"
        self.inbox_row: int | None = None
        self.principal: Principal | None = None
        self.service: str | None = None
        self.attached: dict[str, Any] = {}
        self.replaying = asyncio.Lock()
        self.told: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self.last_word: dict[str, Any] = {}
        self.heard = asyncio.Event()

    @property
    def counted_as(self) -> str:
        return key_of(self.principal)

    def facts(self, metadata: Mapping[str, Any]) -> Facts:
        return Facts(metadata=metadata)

    def push(self, logged: Logged) -> bool:
        self._take(logged.frame)
        return True

    def push_text(self, session_id: str, run_id: str, step: int, offset: int, text: str) -> bool:
        return True

    def tell(self, transient: Transient) -> None:
        self._take(rendering.render(transient))

    async def room(self) -> None:
        pass

    def close(self, code: int, problem: Problem) -> None:
        self.close_code = code
        self.last_word = orjson.loads(rendering.problem(problem))
        self.heard.set()

    def lose(self, session_id: str, code: ErrorCode = "moved") -> None:
        problem = Problem(self.lang, code, session_id=session_id)
        if self.attached:
            self.tell(problem)
        else:
            self.close(CloseCode.GOING_AWAY, problem)

    async def closed(self) -> int:
        """The close code, as soon as there is one."""
        while self.close_code is None:
            self.heard.clear()
            await self.heard.wait()
        return self.close_code

    async def hear(self, event: str, **metadata: Any) -> dict[str, Any]:
        """The first frame of this kind, with this in its metadata, as soon as it is there."""
        while True:
            for frame in self.told:
                if frame["event"] == event and metadata.items() <= frame["metadata"].items():
                    return frame
            self.heard.clear()
            await self.heard.wait()

    def _take(self, frame: str) -> None:
        self.told.append(orjson.loads(frame))
        self.heard.set()


class Permits:
    """Steps that agents may take, given out by the test on another thread."""

    def __init__(self) -> None:
        self._free = threading.Semaphore(0)
        self._is_open = False

    def give(self) -> None:
        self._free.release()

    def open(self) -> None:
        """From now on every step is allowed."""
        self._is_open = True

    def close(self) -> None:
        """From now on each step waits for its permit again."""
        self._is_open = False

    async def take(self) -> None:
        # The permits come from another loop.
        while not (self._is_open or self._free.acquire(blocking=False)):  # noqa: ASYNC110
            await asyncio.sleep(0.0005)


class PermittedModel:
    """A model that wants its tool twice, then answers; a permit for each reply.

    `effects` counts what the tool did, by the run's text. A context that no
    model server would take is an error.
    """

    def __init__(self, permits: Permits) -> None:
        self.permits = permits
        self.asks_people = False
        self.effects: Counter[str] = Counter()
        self.faults: list[str] = []

    async def stream(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[str | Completion]:
        self._check(messages)
        asked = max(i for i, message in enumerate(messages) if message.role == "user")
        text = messages[asked].content
        results = sum(message.role == "tool" for message in messages[asked:])
        await self.permits.take()
        if results < 2:
            arguments = orjson.dumps({"text": f"{text} {results}"}).decode()
            yield Completion(tool_calls=(ToolCall("", "work", arguments),))
        else:
            yield Completion(f"Answer to {text}")

    def agent(self) -> Agent:
        """An agent with this model, and a tool that must not run twice."""

        async def work(text: str) -> str:
            """Has an effect."""
            await self.permits.take()
            self.effects[text] += 1
            return text

        tools = [tool(requires_confirmation=self.asks_people)(work)]
        return create_react_agent(name="permitted", model=self, tools=tools, max_steps=5)

    def _check(self, messages: Sequence[ChatMessage]) -> None:
        open_calls: set[str] = set()
        for message in messages:
            if message.role == "tool":
                if message.tool_call_id not in open_calls:
                    self.faults.append(f"a result without its call: {message}")
                open_calls.discard(message.tool_call_id or "")
                continue
            if open_calls:
                self.faults.append(f"calls without results before {message}")
            open_calls = {call.id for call in message.tool_calls}
