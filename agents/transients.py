"""What clients are told that is not in the log: one type a kind. A dialect renders them."""

from __future__ import annotations

from dataclasses import dataclass

from agents.log.entry import Logged
from agents.sentences import say
from myagent.protocol import ErrorCode

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


@dataclass(frozen=True, slots=True)
class Connected:
    """The client is in. `server` is what the server calls itself."""

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

    `status`: `idle`, `running` or `waiting`. `is_resync`: the log does not hold
    everything after what the client has; it is replayed from its oldest entry.
    """

    lang: str
    session_id: str
    last_seq: int
    status: str
    replaying: int
    is_resync: bool


@dataclass(frozen=True, slots=True)
class ReplayComplete:
    session_id: str
    last_seq: int


@dataclass(frozen=True, slots=True)
class Repeated:
    """The client said something again: `original` is the entry of the first time."""

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
    """What the client asked for was not done, or its socket closes.

    `sentence` names an entry of `SENTENCES` that fits better than the code's
    own; `detail` fills it.
    """

    lang: str
    code: ErrorCode
    sentence: str = ""
    detail: str = ""
    session_id: str | None = None
    message_id: str | None = None
    step_id: str | None = None

    @property
    def is_retryable(self) -> bool:
        return self.code in RETRYABLE

    @property
    def text(self) -> str:
        """The sentence, in the client's language."""
        return say(self.lang, self.sentence or self.code, detail=self.detail)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A word after silence."""


Transient = (
    Connected | StepStarted | Resumed | ReplayComplete | Repeated | Notice | Problem | Heartbeat
)
