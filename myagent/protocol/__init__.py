"""The events dialect, version 1, as types, for server and clients alike.

Here is what both need, and what clients may say. What servers say is in
`myagent.protocol.server_events`, which a server itself never imports: it writes
frames, and only clients read them.
"""

from __future__ import annotations

from myagent.protocol.client_events import (
    MAX_CLIENT_INFO_BYTES,
    MAX_COMMENT,
    MAX_FRAME_BYTES,
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
    TERMINAL_EVENTS,
    Cancel,
    CancelMetadata,
    ClientEvent,
    CloseCode,
    CloseSession,
    CreateSession,
    CreateSessionMetadata,
    Detach,
    ErrorCode,
    Feedback,
    FeedbackMetadata,
    MessageMetadata,
    OnBusy,
    ProtocolError,
    Reconnect,
    ReconnectMetadata,
    Response,
    ResponseContent,
    UserMessage,
    parse,
    timestamp,
    timestamp_or_none,
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
