"""Messages as JSON. No I/O."""

from __future__ import annotations

from typing import Any

from myagent import exact_json
from myagent.models.base import Usage
from myagent.sentence import Said
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
    NeedHistory,
    Ping,
    Pong,
    Ready,
    Refuse,
    RunKey,
    Start,
    Stepping,
    Steps,
    Stopped,
    Text,
    Unfit,
)

Json = dict[str, Any]


def encode(message: FromServer | FromWorker) -> bytes:
    """The JSON of a message. What agent code put into it and has no JSON becomes text."""
    if isinstance(message, Start):
        return _encode_start(message)
    return exact_json.encode(_ENCODERS[type(message)](message))


def encode_said(said: Said) -> bytes:
    """A sentence alone, as it is in a file."""
    return exact_json.encode(_said_json(said))


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
            "run_id": start.run_id,
            "run_attempt": start.run_attempt,
            "traceparent": start.traceparent,
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
        **_usage_json(resume.usage),
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


def _usage_json(usage: Usage) -> Json:
    # Models of somebody's own count in numbers of any kind.
    sums = [int(usage.prompt_tokens), int(usage.completion_tokens)]
    parts = [int(usage.cached_tokens), int(usage.reasoning_tokens)]
    # A field of its own, as older peers pass over fields but refuse a longer list.
    return {"usage": sums, "usage_parts": parts} if any(parts) else {"usage": sums}


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
        "enable_tracing": agent.enable_tracing,
        "is_continuable": agent.is_continuable,
        "examples": list(agent.examples),
    }


def _step_json(step: Step) -> Json:
    match step:
        case Thought():
            return {
                "step": "thought",
                "number": step.step,
                "reasoning": step.reasoning,
                "message": step.message.to_dict(),
                **_usage_json(step.usage),
                "duration_ms": step.duration_ms,
                "first_token_ms": step.first_token_ms,
            }
        case ConfirmationAsked():
            return {
                "step": "confirmation_asked",
                "step_id": step.step_id,
                "tool": step.tool,
                "args": step.args,
                "timeout_s": step.timeout_s,
                "description": step.description,
                "parameters": step.parameters,
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
                **_spans_json(step),
            }
        case Answer():
            return {
                "step": "answer",
                "text": step.text,
                "steps": step.steps,
                **_usage_json(step.usage),
                "stop_reason": step.stop_reason,
                "full_length": step.full_length,
            }
    raise TypeError(f"not a durable step: {step!r}")


def _spans_json(step: ToolFinished) -> Json:
    if not step.spans:
        return {}
    return {
        "spans": [
            {
                "span_id": span.span_id,
                "parent_id": span.parent_id,
                "name": span.name,
                "offset_ms": span.offset_ms,
                "duration_ms": span.duration_ms,
                "status": span.status,
                "error": span.error,
                "attributes": span.attributes,
            }
            for span in step.spans
        ],
        "spans_left_out": step.spans_left_out,
    }


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
        "cause": m.cause,
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
