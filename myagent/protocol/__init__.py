"""The events dialect, version 1, as types, for server and clients alike.

Here is what both need, and what clients may say. What servers say is in
`myagent.protocol.server_events`, which a server itself never imports: it writes
frames, and only clients read them. Events are imported when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from myagent.protocol.terms import (
    MAX_CLIENT_INFO_BYTES,
    MAX_COMMENT,
    MAX_FRAME_BYTES,
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
    TERMINAL_EVENTS,
    CloseCode,
    ErrorCode,
    ProtocolError,
    timestamp,
    timestamp_or_none,
)

if TYPE_CHECKING:
    from myagent.protocol.client_events import (
        Cancel,
        CancelMetadata,
        ClientEvent,
        CloseSession,
        CreateSession,
        CreateSessionMetadata,
        Detach,
        Feedback,
        FeedbackMetadata,
        MessageMetadata,
        OnBusy,
        Reconnect,
        ReconnectMetadata,
        Response,
        ResponseContent,
        UserMessage,
        parse,
    )

__all__ = [
    "MAX_CLIENT_INFO_BYTES",
    "MAX_COMMENT",
    "MAX_FRAME_BYTES",
    "MAX_MESSAGE_BYTES",
    "PROTOCOL_VERSION",
    "TERMINAL_EVENTS",
    "Cancel",
    "CancelMetadata",
    "ClientEvent",
    "CloseCode",
    "CloseSession",
    "CreateSession",
    "CreateSessionMetadata",
    "Detach",
    "ErrorCode",
    "Feedback",
    "FeedbackMetadata",
    "MessageMetadata",
    "OnBusy",
    "ProtocolError",
    "Reconnect",
    "ReconnectMetadata",
    "Response",
    "ResponseContent",
    "UserMessage",
    "parse",
    "timestamp",
    "timestamp_or_none",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module("myagent.protocol.client_events"), name)
    globals()[name] = value
    return value
