"""Messages to clients that are not in the log, one type per kind. A dialect renders them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.sentences import say
from myagent.protocol import ErrorCode

if TYPE_CHECKING:
    from agents.log.entry import Logged

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

WORDS = ("sentence", "detail", "limit", "retry_after_s")
"""What a refusal says besides its code, see `Problem`."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The client is connected. `server` is the server's name."""

    lang: str
    connection_id: str
    server: str


@dataclass(frozen=True, slots=True)
class StepStarted:
    """The model is asked."""

    lang: str
    session_id: str
    step: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """The socket is attached; `replaying` entries follow, up to `last_seq`.

    `status`: `idle`, `running` or `waiting`. `is_resync`: the log does not hold everything after
    what the client has; it is replayed from its oldest entry. `model` is the agent's; '' if it is
    not known.
    """

    lang: str
    session_id: str
    last_seq: int
    status: str
    replaying: int
    is_resync: bool
    model: str = ""


@dataclass(frozen=True, slots=True)
class ReplayComplete:
    session_id: str
    last_seq: int


@dataclass(frozen=True, slots=True)
class Repeated:
    """The client repeated a message: `original` is the entry of the first one."""

    original: Logged


@dataclass(frozen=True, slots=True)
class Notice:
    """`code` is the protocol's, and names an entry of `SENTENCES`."""

    lang: str
    code: str
    session_id: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A request was not carried out, or the socket is closing.

    `sentence` names an entry of `SENTENCES` that fits better than the code's own sentence; `detail`
    fills it in. `limit`: the name of the limit that was reached; `retry_after_s`: the seconds after
    which the same request may be granted.
    """

    lang: str
    code: ErrorCode
    sentence: str = ""
    detail: str = ""
    session_id: str | None = None
    message_id: str | None = None
    step_id: str | None = None
    limit: str = ""
    retry_after_s: int | None = None

    @property
    def words(self) -> dict[str, Any]:
        """What it says besides its code, as arguments of `Refused`."""
        return {name: getattr(self, name) for name in WORDS}

    @property
    def is_retryable(self) -> bool:
        return self.code in RETRYABLE

    @property
    def text(self) -> str:
        """The sentence, in the client's language."""
        return say(
            self.lang,
            self.sentence or self.code,
            detail=self.detail,
            retry_after_s=self.retry_after_s,
        )


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life after silence."""


Transient = (
    Connected | StepStarted | Resumed | ReplayComplete | Repeated | Notice | Problem | Heartbeat
)
