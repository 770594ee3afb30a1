"""The messages of a link as JSON, and back. No I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from myagent import exact_json
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Usage
from myagent.steps import (
    Answer,
    ConfirmationAsked,
    Decision,
    OpenCall,
    Resume,
    Step,
    Thought,
    ToolFinished,
    ToolStarted,
)
from myagent.worker.protocol import (
    Accept,
    AgentInfo,
    Cancel,
    Debugging,
    Decide,
    Drain,
    Draining,
    Forget,
    FromServer,
    FromWorker,
    Hello,
    LinkError,
    NeedHistory,
    Ping,
    Pong,
    Ready,
    Refuse,
    Report,
    RunKey,
    Said,
    Start,
    Stepping,
    Steps,
    Stopped,
    Text,
    ToolInfo,
    Unfit,
)

Json = dict[str, Any]


def encode(message: FromServer | FromWorker) -> bytes:
    """The JSON of a message. What agent code put into it and has no JSON becomes text."""
    if isinstance(message, Start):
        return _encode_start(message)
    return exact_json.encode(_ENCODERS[type(message)](message))


def decode_from_server(data: bytes) -> FromServer:
    """Raises `LinkError`."""
    message: FromServer = _decode(data, _FROM_SERVER)
    return message


def decode_from_worker(data: bytes) -> FromWorker:
    """Raises `LinkError`."""
    message: FromWorker = _decode(data, _FROM_WORKER)
    return message


def encode_said(said: Said) -> bytes:
    """A sentence alone, as it is in a file."""
    return exact_json.encode(_said_json(said))


def decode_said(data: bytes) -> Said:
    """Raises `LinkError`."""
    said: Said = _parsed(data, _said)
    return said


# JSON, one way.


def _encode_start(start: Start) -> bytes:
    head = exact_json.encode(
        {
            "kind": "start",
            **_key_json(start.key),
            "generation": start.generation,
            "first": start.first,
            "at": start.at,
            "resume": _resume_json(start.resume),
            "is_continued": start.is_continued,
        }
    )
    # Each message was encoded when it came into the history: a long one is joined.
    messages = b",".join(message.json for message in start.messages)
    return b'%b,"messages":[%b]}' % (head[:-1], messages)


def _key_json(key: RunKey) -> Json:
    return {"session": key.session_id, "epoch": key.epoch, "attempt": key.attempt}


def _resume_json(resume: Resume) -> Json:
    return {
        "step": resume.step,
        "open_calls": [_open_call_json(call) for call in resume.open_calls],
        "usage": _usage_json(resume.usage),
    }


def _open_call_json(call: OpenCall) -> Json:
    return {
        "call": call.call.to_dict(),
        "has_asked": call.has_asked,
        "decision": None if call.decision is None else _decision_json(call.decision),
        "has_started": call.has_started,
        "started_args": call.started_args,
    }


def _decision_json(decision: Decision) -> Json:
    return {
        "approved": decision.approved,
        "args": decision.args,
        "feedback": decision.feedback,
    }


def _usage_json(usage: Usage) -> list[int]:
    return [usage.prompt_tokens, usage.completion_tokens]


def _said_json(said: Said) -> Json:
    return {
        "template": said.template,
        "values": {
            name: _said_json(value) if isinstance(value, Said) else value
            for name, value in said.values.items()
        },
    }


def _agent_json(agent: AgentInfo) -> Json:
    return {
        "name": agent.name,
        "description": agent.description,
        "tools": [
            {
                "name": tool.name,
                "description": tool.description,
                "idempotent": tool.idempotent,
                "requires_confirmation": tool.requires_confirmation,
                "timeout_s": tool.timeout_s,
            }
            for tool in agent.tools
        ],
        "model": agent.model,
        "max_steps": agent.max_steps,
    }


def _step_json(step: Step) -> Json:
    match step:
        case Thought():
            return {
                "step": "thought",
                "number": step.step,
                "reasoning": step.reasoning,
                "message": step.message.to_dict(),
                "usage": _usage_json(step.usage),
                "duration_ms": step.duration_ms,
            }
        case ConfirmationAsked():
            return {
                "step": "confirmation_asked",
                "step_id": step.step_id,
                "tool": step.tool,
                "args": step.args,
                "timeout_s": step.timeout_s,
            }
        case ToolStarted():
            return {
                "step": "tool_started",
                "step_id": step.step_id,
                "tool": step.tool,
                "args": step.args,
            }
        case ToolFinished():
            return {
                "step": "tool_finished",
                "step_id": step.step_id,
                "tool": step.tool,
                "status": step.status,
                "text": step.text,
                "duration_ms": step.duration_ms,
                "message": step.message.to_dict(),
                "full_length": step.full_length,
            }
        case Answer():
            return {
                "step": "answer",
                "text": step.text,
                "steps": step.steps,
                "usage": _usage_json(step.usage),
                "stop_reason": step.stop_reason,
                "full_length": step.full_length,
            }
    raise TypeError(f"not a durable step: {step!r}")


_ENCODERS: dict[type, Any] = {
    Hello: lambda m: {"kind": "hello", "version": m.version, "peer": m.peer, "role": m.role},
    Accept: lambda m: {"kind": "accept", **_key_json(m.key)},
    Refuse: lambda m: {"kind": "refuse", **_key_json(m.key)},
    Decide: lambda m: {
        "kind": "decide",
        **_key_json(m.key),
        "step_id": m.step_id,
        "decision": _decision_json(m.decision),
    },
    Cancel: lambda m: {"kind": "cancel", **_key_json(m.key)},
    Forget: lambda m: {"kind": "forget", "session": m.session_id, "epoch": m.epoch},
    Drain: lambda m: {"kind": "drain"},
    Ping: lambda m: {"kind": "ping", "number": m.number},
    Ready: lambda m: {
        "kind": "ready",
        "version": m.version,
        "instance": m.instance_id,
        "pid": m.pid,
        "agent": _agent_json(m.agent),
    },
    Unfit: lambda m: {"kind": "unfit", "version": m.version},
    Stepping: lambda m: {"kind": "stepping", **_key_json(m.key), "step": m.step},
    Text: lambda m: {"kind": "text", **_key_json(m.key), "step": m.step, "text": m.text},
    Steps: lambda m: {
        "kind": "steps",
        **_key_json(m.key),
        "steps": [_step_json(step) for step in m.steps],
    },
    Stopped: lambda m: {
        "kind": "stopped",
        **_key_json(m.key),
        "how": m.kind,
        "said": None if m.said is None else _said_json(m.said),
        "is_retryable": m.is_retryable,
        "detail": m.detail,
    },
    NeedHistory: lambda m: {"kind": "need_history", **_key_json(m.key)},
    Pong: lambda m: {
        "kind": "pong",
        "number": m.number,
        "running": m.report.running,
        "sessions": m.report.sessions,
        "lag_ms": m.report.lag_ms,
        "abandoned": m.report.abandoned,
    },
    Draining: lambda m: {"kind": "draining"},
    Debugging: lambda m: {"kind": "debugging", "is_on": m.is_on},
}


# JSON, the other way.


def _decode(data: bytes, decoders: Mapping[str, Any]) -> Any:
    return _parsed(data, lambda parsed: decoders[parsed["kind"]](parsed))


def _parsed(data: bytes, read: Callable[[Json], Any]) -> Any:
    try:
        return read(exact_json.loads(data))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise LinkError(f"not a frame of a link: {data[:80]!r}") from error


def _key(data: Json) -> RunKey:
    return RunKey(str(data["session"]), int(data["epoch"]), int(data["attempt"]))


def _usage(data: Sequence[int]) -> Usage:
    prompt, completion = data
    return Usage(int(prompt), int(completion))


def _resume(data: Json) -> Resume:
    calls = tuple(_open_call(call) for call in data["open_calls"])
    return Resume(int(data["step"]), calls, _usage(data["usage"]))


def _open_call(data: Json) -> OpenCall:
    decision = data["decision"]
    return OpenCall(
        call=ToolCall.from_dict(data["call"]),
        has_asked=bool(data["has_asked"]),
        decision=None if decision is None else _decision(decision),
        has_started=bool(data["has_started"]),
        started_args=data["started_args"],
    )


def _decision(data: Json) -> Decision:
    return Decision(bool(data["approved"]), data["args"], data["feedback"])


def _said(data: Json) -> Said:
    values = {
        str(name): _said(value) if isinstance(value, dict) else _plain(value)
        for name, value in data["values"].items()
    }
    return Said(str(data["template"]), values)


def _plain(value: Any) -> str | int | float:
    return value if isinstance(value, int | float) else str(value)


def _seconds(value: Any) -> float:
    # JSON has no number for a wait without an end.
    return math.inf if value is None else float(value)


def _agent(data: Json) -> AgentInfo:
    tools = [
        ToolInfo(
            name=str(tool["name"]),
            description=str(tool["description"]),
            idempotent=bool(tool["idempotent"]),
            requires_confirmation=bool(tool["requires_confirmation"]),
            timeout_s=tool["timeout_s"],
        )
        for tool in data["tools"]
    ]
    return AgentInfo(
        str(data["name"]), str(data["description"]), tools, str(data["model"]), data["max_steps"]
    )


def _step(data: Json) -> Step:
    return _STEPS[data["step"]](data)  # type: ignore[no-any-return]


_STEPS: dict[str, Any] = {
    "thought": lambda d: Thought(
        int(d["number"]),
        str(d["reasoning"]),
        ChatMessage.from_dict(d["message"]),
        _usage(d["usage"]),
        int(d["duration_ms"]),
    ),
    "confirmation_asked": lambda d: ConfirmationAsked(
        str(d["step_id"]), str(d["tool"]), d["args"], _seconds(d["timeout_s"])
    ),
    "tool_started": lambda d: ToolStarted(str(d["step_id"]), str(d["tool"]), d["args"]),
    "tool_finished": lambda d: ToolFinished(
        str(d["step_id"]),
        str(d["tool"]),
        d["status"],
        str(d["text"]),
        int(d["duration_ms"]),
        ChatMessage.from_dict(d["message"]),
        d["full_length"],
    ),
    "answer": lambda d: Answer(
        str(d["text"]), int(d["steps"]), _usage(d["usage"]), d["stop_reason"], d["full_length"]
    ),
}

_FROM_SERVER: dict[str, Any] = {
    "hello": lambda d: Hello(int(d["version"]), str(d["peer"]), d["role"]),
    "start": lambda d: Start(
        _key(d),
        int(d["generation"]),
        int(d["first"]),
        int(d["at"]),
        [ChatMessage.from_dict(message) for message in d["messages"]],
        _resume(d["resume"]),
        bool(d["is_continued"]),
    ),
    "accept": lambda d: Accept(_key(d)),
    "refuse": lambda d: Refuse(_key(d)),
    "decide": lambda d: Decide(_key(d), str(d["step_id"]), _decision(d["decision"])),
    "cancel": lambda d: Cancel(_key(d)),
    "forget": lambda d: Forget(str(d["session"]), int(d["epoch"])),
    "drain": lambda d: Drain(),
    "ping": lambda d: Ping(int(d["number"])),
}

_FROM_WORKER: dict[str, Any] = {
    "ready": lambda d: Ready(
        int(d["version"]), str(d["instance"]), int(d["pid"]), _agent(d["agent"])
    ),
    "unfit": lambda d: Unfit(int(d["version"])),
    "stepping": lambda d: Stepping(_key(d), int(d["step"])),
    "text": lambda d: Text(_key(d), int(d["step"]), str(d["text"])),
    "steps": lambda d: Steps(_key(d), [_step(step) for step in d["steps"]]),
    "stopped": lambda d: Stopped(
        _key(d),
        d["how"],
        None if d["said"] is None else _said(d["said"]),
        bool(d["is_retryable"]),
        str(d["detail"]),
    ),
    "need_history": lambda d: NeedHistory(_key(d)),
    "pong": lambda d: Pong(
        int(d["number"]),
        Report(int(d["running"]), int(d["sessions"]), float(d["lag_ms"]), int(d["abandoned"])),
    ),
    "draining": lambda d: Draining(),
    "debugging": lambda d: Debugging(bool(d["is_on"])),
}
