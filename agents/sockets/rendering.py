"""How the events dialect renders what is not in the log."""

from __future__ import annotations

from typing import Any

import orjson

from agents.sentences import say
from agents.transients import (
    Connected,
    Heartbeat,
    Notice,
    Problem,
    Repeated,
    ReplayComplete,
    Resumed,
    StepStarted,
    Transient,
)
from myagent import protocol


def render(transient: Transient) -> str:
    match transient:
        case StepStarted():
            return _step_started(transient)
        case Repeated():
            return transient.original.as_duplicate()
        case Heartbeat():
            return _frame("system.heartbeat", None, {})
        case Connected():
            return _connected(transient)
        case Resumed():
            return _resumed(transient)
        case ReplayComplete():
            metadata = {"last_seq": transient.last_seq}
            return _frame("agent.replay_complete", None, metadata, session_id=transient.session_id)
        case Notice():
            return _notice(transient)
        case Problem():
            return problem(transient)


def partial(session_id: str, run_id: str, step: int, offset: int, text: str) -> str:
    metadata = {"run_id": run_id, "step": step, "offset": offset}
    return _frame("agent.partial_answer", text, metadata, session_id=session_id)


def problem(told: Problem) -> str:
    metadata: dict[str, Any] = {"code": told.code, "retryable": told.is_retryable}
    if told.limit:
        metadata["limit"] = told.limit
    if told.retry_after_s is not None:
        metadata["retry_after_s"] = told.retry_after_s
    named = _named(session_id=told.session_id, message_id=told.message_id, step_id=told.step_id)
    return _frame("system.error", told.text, metadata | named)


def _connected(told: Connected) -> str:
    metadata = {
        "connection_id": told.connection_id,
        "protocol": protocol.PROTOCOL_VERSION,
        "server": told.server,
    }
    return _frame("system.connected", say(told.lang, "connected", server=told.server), metadata)


def _step_started(told: StepStarted) -> str:
    metadata = {"step": told.step, "status": "started"}
    content = say(told.lang, "thinking")
    return _frame("agent.thinking", content, metadata, session_id=told.session_id)


def _resumed(told: Resumed) -> str:
    metadata: dict[str, Any] = {
        "last_seq": told.last_seq,
        "status": told.status,
        "replaying": told.replaying,
    }
    if told.is_resync:
        metadata["resync"] = True
    if told.model:
        metadata["model"] = told.model
    content = say(told.lang, "session_resumed")
    return _frame("agent.session_resumed", content, metadata, session_id=told.session_id)


def _notice(told: Notice) -> str:
    named = _named(session_id=told.session_id, run_id=told.run_id)
    return _frame("system.notice", say(told.lang, told.code), {"code": told.code} | named)


def _named(**names: str | None) -> dict[str, str]:
    return {name: value for name, value in names.items() if value is not None}


def _frame(event: str, content: Any, metadata: dict[str, Any], **fields: Any) -> str:
    return orjson.dumps(
        {
            "event": event,
            **fields,
            "timestamp": protocol.timestamp(),
            "content": content,
            "metadata": metadata,
        }
    ).decode()
