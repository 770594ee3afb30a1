"""What a server says, read from its JSON. No I/O.

A worker trusts its server: what is no frame is refused, what one says is believed.
"""

from __future__ import annotations

from typing import Any

from myagent import exact_json
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Usage
from myagent.steps import Decision, OpenCall, Resume
from myagent.worker.protocol import (
    Accept,
    Cancel,
    Decide,
    Drain,
    Forget,
    FromServer,
    Hello,
    LinkError,
    Ping,
    Refuse,
    RunKey,
    Start,
)

Json = dict[str, Any]


def decode_from_server(data: bytes) -> FromServer:
    """Raises `LinkError`."""
    try:
        parsed = exact_json.loads(data)
        message: FromServer = _FROM_SERVER[parsed["kind"]](parsed)
        return message
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise LinkError(f"not a frame of a link: {data[:80]!r}") from error


def _key(data: Json) -> RunKey:
    return RunKey(str(data["session"]), int(data["epoch"]), int(data["attempt"]))


def _resume(data: Json) -> Resume:
    calls = tuple(_open_call(call) for call in data["open_calls"])
    return Resume(int(data["step"]), calls, _usage(data))


def _usage(data: Json) -> Usage:
    prompt, completion = data["usage"]
    # A server of an older version does not send these.
    cached, reasoning = data.get("usage_parts", (0, 0))
    return Usage(int(prompt), int(completion), int(cached), int(reasoning))


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
        str(d["run_id"]),
        # A server of an older version does not send these.
        int(d.get("run_attempt", 1)),
        str(d.get("traceparent", "")),
    ),
    "accept": lambda d: Accept(_key(d)),
    "refuse": lambda d: Refuse(_key(d)),
    "decide": lambda d: Decide(_key(d), str(d["step_id"]), _decision(d["decision"])),
    "cancel": lambda d: Cancel(_key(d)),
    "forget": lambda d: Forget(str(d["session"]), int(d["epoch"])),
    "drain": lambda d: Drain(),
    "ping": lambda d: Ping(int(d["number"])),
}
