"""Transient frames: what a server says that is not in the log."""

from __future__ import annotations

from typing import Any

import orjson

from agents.sentences import say
from myagent import protocol

RETRYABLE = frozenset(
    {
        "rate_limited",
        "busy",
        "moved",
        "service_unavailable",
        "storage_unavailable",
        "slow_client",
        "internal_error",
    }
)


def frame(event: str, content: Any, metadata: dict[str, Any] | None, **fields: Any) -> str:
    return orjson.dumps(
        {
            "event": event,
            **fields,
            "timestamp": protocol.timestamp(),
            "content": content,
            "metadata": metadata or {},
        }
    ).decode()


def connected(lang: str, connection_id: str, server: str) -> str:
    metadata = {
        "connection_id": connection_id,
        "protocol": protocol.PROTOCOL_VERSION,
        "server": server,
    }
    return frame("system.connected", say(lang, "connected", server=server), metadata)


def thinking(session_id: str, lang: str, step: int) -> str:
    metadata = {"step": step, "status": "started"}
    return frame("agent.thinking", say(lang, "thinking"), metadata, session_id=session_id)


def partial(session_id: str, run_id: str, step: int, offset: int, text: str) -> str:
    metadata = {"run_id": run_id, "step": step, "offset": offset}
    return frame("agent.partial_answer", text, metadata, session_id=session_id)


def resumed(
    session_id: str, lang: str, *, last_seq: int, status: str, replaying: int, is_resync: bool
) -> str:
    metadata: dict[str, Any] = {"last_seq": last_seq, "status": status, "replaying": replaying}
    if is_resync:
        metadata["resync"] = True
    content = say(lang, "session_resumed")
    return frame("agent.session_resumed", content, metadata, session_id=session_id)


def replay_complete(session_id: str, last_seq: int) -> str:
    return frame("agent.replay_complete", None, {"last_seq": last_seq}, session_id=session_id)


def heartbeat() -> str:
    return frame("system.heartbeat", None, None)


def notice(lang: str, code: str, **fields: Any) -> str:
    return frame("system.notice", say(lang, code), {"code": code, **fields})


def error(
    lang: str,
    code: protocol.ErrorCode,
    *,
    sentence: str = "",
    detail: str = "",
    session_id: str | None = None,
    message_id: str | None = None,
) -> str:
    """`sentence` names an entry of `SENTENCES` that fits better than the code's own."""
    metadata: dict[str, Any] = {"code": code, "retryable": code in RETRYABLE}
    if session_id is not None:
        metadata["session_id"] = session_id
    if message_id is not None:
        metadata["message_id"] = message_id
    return frame("system.error", say(lang, sentence or code, detail=detail), metadata)
