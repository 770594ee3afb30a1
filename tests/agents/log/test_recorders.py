"""Rows that recorders hand in are committed with their entries, once, or cost nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar

import pytest
from django.contrib.sessions.models import Session as Kept
from django.db import OperationalError, connection

from agents.log import recorders
from agents.log.commit import Batch
from agents.log.entry import Logged
from agents.log.journal import Journal
from agents.log.recorders import Row
from agents.log.writes import OwnershipLost, Write
from tests.agents.logs import accepted, created, ended, logged, new_ref, new_server
from tests.agents.test_session_property import Story, stage

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]


# A table that is there, with a key that a recorder can choose.
INSERT = (
    f"INSERT INTO {Kept._meta.db_table} (session_key, session_data, expire_date) VALUES (%s,%s,%s)"
)
UPDATE = f"UPDATE {Kept._meta.db_table} SET session_data=%s WHERE session_key=%s"
NOWHERE = "INSERT INTO no_such_table (name) VALUES (%s)"


def kept(key: str, data: str | None, at: datetime) -> Row:
    return Row(INSERT, (key, data, connection.ops.adapt_datetimefield_value(at)))


class Recorder:
    statements = (INSERT, UPDATE, NOWHERE)

    def note_committed(self) -> None:
        pass


class Spans(Recorder):
    """A recorder with a row for each run, which its end changes."""

    def __init__(self) -> None:
        self.calls = 0
        self.commits = 0

    def record(self, write: Write, logged: Sequence[Logged], at: datetime) -> Iterable[Row]:
        self.calls += 1
        for run_id in write.ends:
            yield Row(UPDATE, (f"ended at {logged[-1].seq}", key(run_id)))
        if write.new_run is not None:
            yield kept(key(write.new_run.run_id), f"began at {logged[0].seq}", at)

    def note_committed(self) -> None:
        self.commits += 1


class Raising(Recorder):
    def record(self, write: Write, logged: Sequence[Logged], at: datetime) -> Iterable[Row]:
        yield kept("never", "", at)
        raise RuntimeError("out of order")


class Refused(Recorder):
    """Its second row is one that no database takes."""

    def record(self, write: Write, logged: Sequence[Logged], at: datetime) -> Iterable[Row]:
        yield kept("first", "", at)
        yield kept("second", None, at)


def rows() -> dict[str, str]:
    return dict(Kept.objects.values_list("session_key", "session_data"))


def key(run_id: str) -> str:
    return run_id.replace("-", "")


def test_rows_are_written_and_changed_with_the_entries() -> None:
    write, ref = created(new_server()), new_ref()
    spans = Spans()
    Batch([write, accepted(write.session_id, 1, ref)], [spans]).commit()
    assert rows() == {key(ref.run_id): "began at 2"}
    Batch([ended(write.session_id, 1, ref)], [spans]).commit()
    assert rows() == {key(ref.run_id): "ended at 3"}
    assert spans.commits == 2


def test_the_rows_of_a_batch_are_written_in_the_order_of_the_statements() -> None:
    write, ref = created(new_server()), new_ref()
    session_id = write.session_id
    Batch([write, accepted(session_id, 1, ref), ended(session_id, 1, ref)], [Spans()]).commit()
    assert rows() == {key(ref.run_id): "ended at 3"}


def test_a_write_that_the_log_refuses_is_not_recorded() -> None:
    spans = Spans()
    (result,) = Batch([accepted("no such session", 1, new_ref())], [spans]).commit()
    assert isinstance(result, OwnershipLost)
    assert (spans.calls, rows()) == (0, {})


class WithoutTable(Recorder):
    def record(self, write: Write, logged: Sequence[Logged], at: datetime) -> Iterable[Row]:
        yield Row(NOWHERE, ("a",))


@pytest.mark.parametrize("bad", [Raising, Refused, WithoutTable])
def test_a_recorder_that_fails_costs_its_own_rows_alone(
    bad: Callable[[], Any],
) -> None:
    write, ref = created(new_server()), new_ref()
    batch = Batch([write, accepted(write.session_id, 1, ref)], [bad(), Spans()])
    batch.commit()
    assert [seq for seq, *_ in logged(write.session_id)] == [1, 2]
    assert key(ref.run_id) in rows()
    assert not {"never", "second", "first"} & rows().keys()
    assert batch.recorder_failures > 0


def test_a_commit_that_is_tried_again_keeps_each_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadlock undoes the transaction once, when everything but the commit is done."""
    spans, journal = Spans(), Journal()
    write, ref = created(new_server()), new_ref()
    batch = Batch([write, accepted(write.session_id, 1, ref)], [spans])
    save, losses = recorders.Recording.save, iter([OperationalError(1213, "Deadlock found")])

    def save_and_lose(self: recorders.Recording, cursor: Any) -> None:
        save(self, cursor)
        for loss in losses:
            raise loss

    monkeypatch.setattr(recorders.Recording, "save", save_and_lose)
    with pytest.raises(OperationalError):
        batch.commit()
    assert (logged(write.session_id), rows()) == ([], {})
    journal._try_until_answered(batch)
    assert (spans.calls, spans.commits) == (4, 1)
    assert [seq for seq, *_ in logged(write.session_id)] == [1, 2]
    assert rows() == {key(ref.run_id): "began at 2"}


class Noting(Recorder):
    """Writes down what it is told beside the entries."""

    told: ClassVar[list[tuple[str, str, str, bool, int, Any]]] = []

    def record(self, write: Write, logged: Sequence[Logged], at: datetime) -> Iterable[Row]:
        facts = write.facts
        runs = [] if facts is None else [*write.ended, *([facts.run] if facts.run else [])]
        for entry in write.entries:
            if entry.event == "agent.thinking" and facts is not None and facts.agent is not None:
                self.told.append(
                    (
                        facts.service,
                        facts.principal,
                        facts.agent.name,
                        facts.agent.enable_tracing,
                        next(run.attempt for run in runs if run.run_id == entry.run_id),
                        entry.aside["first_token_ms"],
                    )
                )
        return ()


async def test_a_recorder_is_told_what_the_log_does_not_hold(settings: Any) -> None:
    settings.MYAGENT_RECORDERS = [f"{__name__}.Noting"]
    recorders.configured.cache_clear()
    Noting.told.clear()
    with stage() as worker:
        story = Story(worker, "tested")
        story.permits.open()
        await story.begin()
        await story.do(("say", "a", "enqueue"))
        await story.end()
    recorders.configured.cache_clear()
    assert len(Noting.told) == 3
    service, principal, agent, is_traced, attempt, first_token_ms = Noting.told[-1]
    assert (service, principal, agent, is_traced, attempt) == ("tested", "", "inline", True, 1)
    assert isinstance(first_token_ms, int)
