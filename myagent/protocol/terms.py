"""What every dialect needs of the events dialect: its limits, its words, its close codes. No I/O.

Commands that speak to no client import this alone, which is a tenth of their start.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

PROTOCOL_VERSION = 1

MAX_FRAME_BYTES = 512 * 1024
"""A client's frame above this many bytes of UTF-8 is refused."""

MAX_MESSAGE_BYTES = 256 * 1024
"""A message's content above this many bytes of UTF-8 is refused."""

MAX_TRACEPARENT = 512
"""Characters of a message's `traceparent`. A valid one has 55, of later versions more."""

MAX_COMMENT = 2_000
"""Characters of what somebody says about an answer; more are refused."""

MAX_CLIENT_INFO_BYTES = 16 * 1024
"""`metadata.client` of a new session above this many bytes of JSON is refused."""

ErrorCode = Literal[
    "invalid_json",
    "invalid_event",
    "unknown_event",
    "unknown_session",
    "unknown_message",
    "session_closed",
    "forbidden",
    "unauthenticated",
    "rate_limited",
    "too_large",
    "too_many_sessions",
    "busy",
    "not_waiting",
    "moved",
    "no_service",
    "service_unavailable",
    "storage_unavailable",
    "model_error",
    "tool_error",
    "agent_error",
    "internal_error",
    "slow_client",
]

TERMINAL_EVENTS = frozenset(
    {"agent.final_answer", "agent.error", "agent.interrupted", "agent.timeout"}
)
"""Every accepted message ends in exactly one of these."""


class CloseCode:
    """WebSocket close codes that a server uses."""

    NORMAL = 1000
    NOT_AUTHENTICATED = 4001
    ORIGIN_NOT_ALLOWED = 4003
    NO_SUCH_SERVICE = 4004
    SLOW_READER = 4008
    GOING_AWAY = 4012
    NO_SERVICE_AVAILABLE = 4013
    TOO_MANY = 4029
    PROTOCOL_ABUSE = 4400


class ProtocolError(Exception):
    """A frame that is not a client event.

    `code` is one of the protocol's error codes, `detail` the field or event
    name that is wrong, if one is. `is_frame_error`: the frame as such was
    unusable, which counts towards closing the socket.
    """

    def __init__(self, code: ErrorCode, detail: str = "", *, is_frame_error: bool = False) -> None:
        super().__init__(f"{code}: {detail}")
        self.code: ErrorCode = code
        self.detail = detail
        self.is_frame_error = is_frame_error


def timestamp(moment: datetime | None = None) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`; of now by default."""
    moment = moment or datetime.now(UTC)
    # Each frame has one, and `strftime` takes ten times as long.
    return f"{moment.isoformat(timespec='milliseconds')[:23]}Z"


def timestamp_or_none(moment: datetime | None) -> str | None:
    """The same of a moment that may not have come yet."""
    return None if moment is None else timestamp(moment)
