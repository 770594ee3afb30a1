"""What callers ask the journal to write, and why it may refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.log.entry import Entry, Logged
from myagent.worker.protocol import AgentInfo


class WriteRefused(Exception):
    """A write that the log's rules forbid; nothing of it was written."""


class OwnershipLost(WriteRefused):
    """Another process owns the session now."""


class RunEnded(WriteRefused):
    """The run already has its one terminal entry, or was never accepted."""


class DuplicateMessage(WriteRefused):
    """The message was accepted before. `seq` is the original's place in the log."""

    def __init__(self, seq: int) -> None:
        super().__init__(seq)
        self.seq = seq


@dataclass(frozen=True, slots=True)
class NewSession:
    service: str
    lang: str
    owner_id: str
    tags: str
    client: str
    """`tags` and `client` are JSON texts."""
    principal: str = ""
    """The key of the principal that creates the session."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """`ordinal` is None for a run that waits in the queue; `is_ahead`: in front of it."""

    run_id: str
    message_id: str
    ordinal: int | None
    is_ahead: bool = False


@dataclass(frozen=True, slots=True)
class RunStart:
    """A run that waited begins.

    `message`: the text that it answers, and `traceparent`: what its client gave, for recorders.
    """

    run_id: str
    ordinal: int
    message: str = ""
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class NextAttempt:
    """A run goes on from the log: `attempt` is the number of this attempt, from 2 on; 1 of a run
    that was only written down (see `agents.log.forking`).

    `waiting` and `working`: the ids and tools of the calls that wait for a confirmation, and of
    those that had begun, for recorders.
    """

    run_id: str
    attempt: int
    waiting: Sequence[tuple[str, str]] = ()
    working: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Where a run stands once the write is in the log, for recorders.

    `attempt` counts how often it was begun or continued; `step` is the last one that its model
    completed. Unless it has `has_open_calls` or ends, its model is asked for the next step.
    `age_ms`: since its start.
    """

    run_id: str
    attempt: int
    step: int
    has_open_calls: bool
    age_ms: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What recorders are told about a write's session beyond the log.

    `agent`: as the worker describes it; None before the first worker. `run`: the one that is under
    way after the write.
    """

    service: str
    principal: str
    agent: AgentInfo | None
    run: RunFacts | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """What one caller wants in the log, all or nothing.

    The entries get consecutive numbers. Those of a run that is not alive are
    refused; `ends` maps the runs that end here to their status, `ended` are those of
    them that had begun. `answers`: the row of the inbox that asked for it, which is
    done with it. `facts`: None where a run is ended without its session.
    """

    session_id: str
    epoch: int
    entries: Sequence[Entry] = ()
    new_session: NewSession | None = None
    new_run: NewRun | None = None
    starts: RunStart | None = None
    continues: NextAttempt | None = None
    ends: dict[str, str] = field(default_factory=dict)
    ended: Sequence[RunFacts] = ()
    close_reason: str = ""
    answers: int | None = None
    facts: Facts | None = None

    def needs_live(self) -> set[str]:
        """The runs that must have been accepted and not have ended."""
        parts = (entry for entry in self.entries if not entry.is_afterwards)
        runs = {entry.run_id for entry in parts if entry.run_id} | set(self.ends)
        if self.continues is not None:
            runs.add(self.continues.run_id)
        return runs - {self.new_run.run_id} if self.new_run else runs


Result = list[Logged] | WriteRefused
