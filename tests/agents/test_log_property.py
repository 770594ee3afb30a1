"""For any interleaving of owners, crashes, duplicates and lost replies the log keeps its rules."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import OperationalError, connection
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from agents.log import commit, journal
from agents.log.entry import Logged, RunRef
from agents.log.journal import Journal
from agents.log.writes import DuplicateMessage, OwnershipLost, RunEnded, Write
from agents.models import Run, Session
from agents.ownership import servers, taking
from tests.agents.logs import (
    SERVICE,
    accepted,
    cancelled,
    created,
    ended,
    logged,
    new_ref,
    new_server,
    thought,
)

KINDS = st.sampled_from(["accept", "step", "answer", "cancel"])


@dataclass
class Owner:
    """A process that holds, or once held, the session."""

    server_id: str
    epoch: int
    journal: Journal


@dataclass
class Model:
    """What the log must hold, by the plainest of rules: one write after the other."""

    epoch: int = 1
    entries: list[tuple[int, int, str, str | None]] = field(default_factory=list)
    live: set[str] = field(default_factory=set)
    messages: dict[str, int] = field(default_factory=dict)
    runs: dict[str, RunRef] = field(default_factory=dict)

    def take(self, write: Write) -> Any:
        """The outcome that is due: numbers, or the kind of refusal."""
        if write.epoch != self.epoch:
            return OwnershipLost
        if not write.needs_live() <= self.live:
            return RunEnded
        new = write.new_run
        if new is not None and new.message_id in self.messages:
            return DuplicateMessage
        first = len(self.entries) + 1
        for seq, entry in enumerate(write.entries, first):
            self.entries.append((seq, write.epoch, entry.event, entry.run_id))
        if new is not None:
            self.live.add(new.run_id)
            self.messages[new.message_id] = first
        self.live -= set(write.ends)
        return list(range(first, first + len(write.entries)))


class FaultyDatabase:
    """Makes the next commit fail, before or after it took effect."""

    def __init__(self) -> None:
        self.fault = ""
        self._commit = commit.Batch.commit

    def commit(self, written: commit.Batch) -> Any:
        fault, self.fault = self.fault, ""
        if fault == "before":
            raise OperationalError(2006, "gone before the commit")
        results = self._commit(written)
        if fault == "after":
            raise OperationalError(2013, "gone before the reply")
        return results


FAULTS = FaultyDatabase()


class LogMachine(RuleBasedStateMachine):
    """One session. `owners[-1]` holds it; the others are zombies that still try."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.model = Model()
        self.owners = [self._process(new_server(), 1)]
        first = created(self.owners[0].server_id)
        self.session_id = first.session_id
        self._write(self.owners[0], [first])

    def _process(self, server_id: str, epoch: int) -> Owner:
        process = Owner(server_id, epoch, Journal())

        async def start() -> None:
            process.journal.start()

        self.loop.run_until_complete(start())
        return process

    @rule(
        kinds=st.lists(st.tuples(KINDS, st.integers(0, 30)), min_size=1, max_size=5),
        age=st.sampled_from([0, 0, 0, 1, 2]),
        fault=st.sampled_from(["", "", "before", "after"]),
    )
    def write(self, kinds: list[tuple[str, int]], age: int, fault: str) -> None:
        owner = self.owners[max(0, len(self.owners) - 1 - age)]
        FAULTS.fault = fault
        self._write(owner, [self._made(owner, kind, number) for kind, number in kinds])

    @rule()
    def crash_and_take_over(self) -> None:
        """The owner dies, or is thought dead; another process takes the session."""
        servers.end(self.owners[-1].server_id)
        server_id = new_server()
        taken = taking.take(self.session_id, [SERVICE], server_id)
        assert taken.epoch == self.model.epoch + 1
        assert taken.last_seq == len(self.model.entries)
        self.model.epoch = taken.epoch
        self.owners.append(self._process(server_id, taken.epoch))

    @rule()
    def nobody_takes_from_the_living(self) -> None:
        with pytest.raises(taking.OwnedElsewhere):
            taking.take(self.session_id, [SERVICE], new_server())

    def _made(self, owner: Owner, kind: str, number: int) -> Write:
        session_id, epoch = self.session_id, owner.epoch
        if kind == "accept":
            ref = new_ref(f"message-{number % 8}")
            self.model.runs[ref.run_id] = ref
            return accepted(session_id, epoch, ref)
        refs = list(self.model.runs.values()) or [new_ref()]
        ref = refs[-1 - number % len(refs)]
        if kind == "step":
            return Write(session_id, epoch, [thought(ref), thought(ref, 2)])
        return (ended if kind == "answer" else cancelled)(session_id, epoch, ref)

    def _write(self, owner: Owner, writes: Sequence[Write]) -> None:
        outcomes = self.loop.run_until_complete(self._outcomes(owner, writes))
        assert [_told(outcome) for outcome in outcomes] == [self.model.take(w) for w in writes]
        for write, outcome in zip(writes, outcomes, strict=True):
            if isinstance(outcome, DuplicateMessage):
                assert write.new_run is not None
                assert outcome.seq == self.model.messages[write.new_run.message_id]

    async def _outcomes(self, owner: Owner, writes: Sequence[Write]) -> list[Any]:
        tasks = [owner.journal.write(write) for write in writes]
        return await asyncio.gather(*tasks, return_exceptions=True)

    @invariant()
    def the_log_is_what_was_acknowledged(self) -> None:
        assert logged(self.session_id) == self.model.entries
        session = Session.objects.get(pk=self.session_id)
        assert session.last_seq == len(self.model.entries)
        assert session.epoch == self.model.epoch

    @invariant()
    def runs_are_what_the_log_says(self) -> None:
        runs = Run.objects.filter(session_id=self.session_id)
        assert dict(runs.values_list("message_id", "accepted_seq")) == self.model.messages
        alive = runs.filter(status__in=Run.UNFINISHED, ended_at__isnull=True)
        assert set(alive.values_list("pk", flat=True)) == self.model.live

    def teardown(self) -> None:
        for owner in self.owners:
            self.loop.run_until_complete(owner.journal.stop())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


def _told(outcome: Any) -> Any:
    if isinstance(outcome, list):
        assert all(isinstance(entry, Logged) for entry in outcome)
        return [entry.seq for entry in outcome]
    return type(outcome)


@pytest.fixture
def faulty_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(commit.Batch, "commit", lambda self: FAULTS.commit(self))
    monkeypatch.setattr(journal, "FIRST_RETRY_S", 0.001)
    yield
    FAULTS.fault = ""


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("faulty_database")
def test_the_log_is_what_was_acknowledged_whatever_happens() -> None:
    is_quick = connection.vendor == "sqlite"
    run_state_machine_as_test(
        LogMachine,
        settings=hypothesis_settings(
            max_examples=30 if is_quick else 12, stateful_step_count=20, deadline=None
        ),
    )
