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
    run_id: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What recorders are told about a write's session beyond the log.

    `agent`: as the worker describes it; None before the first worker. `attempt` grows whenever one
    of the session's runs is given to a worker.
    """

    service: str
    principal: str
    agent: AgentInfo | None
    attempt: int


@dataclass(frozen=True, slots=True)
class Write:
    """What one caller wants in the log, all or nothing.

    The entries get consecutive numbers. Those of a run that is not alive are
    refused; `ends` maps the runs that end here to their status. `answers`: the row
    of the inbox that asked for it, which is done with it. `facts`: None where a run
    is ended without its session.
    """

    session_id: str
    epoch: int
    entries: Sequence[Entry] = ()
    new_session: NewSession | None = None
    new_run: NewRun | None = None
    starts: RunStart | None = None
    ends: dict[str, str] = field(default_factory=dict)
    close_reason: str = ""
    answers: int | None = None
    facts: Facts | None = None

    def needs_live(self) -> set[str]:
        """The runs that must have been accepted and not have ended."""
        runs = {entry.run_id for entry in self.entries if entry.run_id} | set(self.ends)
        return runs - {self.new_run.run_id} if self.new_run else runs


Result = list[Logged] | WriteRefused
