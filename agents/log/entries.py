"""Entries of the log: what each durable event holds, and how it looks on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import orjson

from agents.log.fold import Fact
from agents.sentences import say
from myagent import exact_json, protocol
from myagent.messages import ChatMessage
from myagent.steps import Answer, ConfirmationAsked, Thought, ToolFinished, ToolStarted


@dataclass(frozen=True)
class Entry:
    """An entry on its way into the log. `message` is what it adds to the model's context."""

    event: str
    content: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    step_id: str = ""
    message: ChatMessage | None = None
    run_id: str | None = None

    @cached_property
    def payload(self) -> bytes:
        return exact_json.encode({"content": self.content, "metadata": self.metadata})

    def fact(self, at: datetime) -> Fact:
        return Fact(self.event, self.step_id, at, self.content, self.metadata, self.message)

    @property
    def size(self) -> int:
        """Bytes that the database has to take."""
        return len(self.payload) + (0 if self.message is None else len(self.message.json))

    @property
    def message_json(self) -> str | None:
        return None if self.message is None else self.message.json.decode()


@dataclass(frozen=True)
class Logged:
    """An entry in the log; its wire form is made once, for all sockets."""

    session_id: str
    seq: int
    event: str
    step_id: str
    created_at: datetime
    payload: bytes

    @cached_property
    def frame(self) -> str:
        return self._render(f'"seq":{self.seq},"event_id":"{self.session_id}:{self.seq}",')

    def as_duplicate(self) -> str:
        """The echo for a message that was sent again: without `seq`, naming the original's."""
        data = exact_json.loads(self._render(""))
        data["metadata"] |= {"duplicate": True, "original_seq": self.seq}
        return exact_json.dumps(data)

    def _render(self, position: str) -> str:
        step = f'"step_id":{orjson.dumps(self.step_id).decode()},' if self.step_id else ""
        return (
            f'{{"event":"{self.event}","session_id":"{self.session_id}",{position}{step}'
            f'"timestamp":"{protocol.timestamp(self.created_at)}",{self.payload[1:].decode()}'
        )

    @property
    def data(self) -> dict[str, Any]:
        """`content` and `metadata`, parsed."""
        parsed: dict[str, Any] = orjson.loads(self.payload)
        return parsed


@dataclass(frozen=True, slots=True)
class RunRef:
    """Which run a terminal event ends."""

    run_id: str
    message_id: str

    @property
    def metadata(self) -> dict[str, Any]:
        return {"run_id": self.run_id, "message_id": self.message_id}


def session_created(lang: str, agent: str, service: str, connection_id: str) -> Entry:
    metadata = {"agent_name": agent, "service": service, "connection_id": connection_id}
    return Entry("agent.session_created", say(lang, "session_created", agent=agent), metadata)


def user_message(text: str, run: RunRef, position: int) -> Entry:
    return Entry(
        "user.message",
        text,
        run.metadata | {"position": position},
        message=ChatMessage("user", text),
        run_id=run.run_id,
    )


def thinking(step: Thought, run: RunRef) -> Entry:
    metadata = {
        "step": step.step,
        "status": "completed",
        "duration_ms": step.duration_ms,
        "usage": step.usage.to_dict(),
    }
    # The last thought's text is the answer: that entry carries it, and the message.
    is_last = not step.message.tool_calls
    if step.message.content and not is_last:
        metadata["text"] = step.message.content
    message = None if is_last else step.message
    return Entry("agent.thinking", step.reasoning, metadata, message=message, run_id=run.run_id)


def user_confirm(step: ConfirmationAsked, run: RunRef, lang: str, timeout_s: float) -> Entry:
    return Entry(
        "agent.user_confirm",
        say(lang, "user_confirm", tool=step.tool),
        {"tool": step.tool, "args": step.args, "timeout_s": timeout_s},
        step_id=step.step_id,
        run_id=run.run_id,
    )


def user_response(content: dict[str, Any], step_id: str, run: RunRef) -> Entry:
    return Entry("user.response", content, {}, step_id=step_id, run_id=run.run_id)


def tool_call(step: ToolStarted, run: RunRef, lang: str) -> Entry:
    return Entry(
        "agent.tool_call",
        say(lang, "tool_call", tool=step.tool),
        {"tool": step.tool, "args": step.args, "status": "running"},
        step_id=step.step_id,
        run_id=run.run_id,
    )


def tool_result(step: ToolFinished, run: RunRef) -> Entry:
    metadata = {"tool": step.tool, "status": step.status, "duration_ms": step.duration_ms}
    if step.full_length is not None:
        metadata["truncated"] = step.full_length
    return Entry(
        "agent.tool_result", step.text, metadata, step.step_id, step.message, run_id=run.run_id
    )


def user_cancel(run_id: str | None) -> Entry:
    return Entry("user.cancel", None, {"run_id": run_id} if run_id else {}, run_id=run_id)


def final_answer(step: Answer, run: RunRef, duration_ms: int) -> Entry:
    metadata = run.metadata | {
        "steps": step.steps,
        "usage": step.usage.to_dict(),
        "duration_ms": duration_ms,
        "stop_reason": step.stop_reason,
    }
    if step.full_length is not None:
        metadata["truncated"] = step.full_length
    return Entry("agent.final_answer", step.text, metadata, "", step.message, run_id=run.run_id)


def error(run: RunRef, code: protocol.ErrorCode, sentence: str, *, is_retryable: bool) -> Entry:
    metadata = run.metadata | {"code": code, "retryable": is_retryable}
    note = ChatMessage("assistant", "(No answer: an error ended it.)")
    return Entry("agent.error", sentence, metadata, "", note, run.run_id)


def interrupted(run: RunRef, lang: str, effects: list[str], text: str = "") -> Entry:
    """`text` is what the model had written by then."""
    note = ChatMessage("assistant", f"{text} (The answer was stopped here.)".lstrip())
    metadata = run.metadata | {"effects": effects}
    return Entry("agent.interrupted", say(lang, "interrupted"), metadata, "", note, run.run_id)


def timed_out(run: RunRef, lang: str, timeout_s: float, effects: list[str]) -> Entry:
    note = ChatMessage("assistant", "(No answer: it took too long.)")
    metadata = run.metadata | {"timeout_s": timeout_s, "effects": effects}
    sentence = say(lang, "timeout", timeout_s=f"{timeout_s:g}")
    return Entry("agent.timeout", sentence, metadata, "", note, run.run_id)


def session_end(lang: str, reason: str) -> Entry:
    return Entry("agent.session_end", say(lang, "session_end"), {"reason": reason})
