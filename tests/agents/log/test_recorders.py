"""Rows that recorders hand in are committed with their entries, once, or cost nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar

import pytest
from django.contrib.sessions.models import Session as Kept
from django.db import OperationalError, models

from agents.log import recorders
from agents.log.commit import Batch
from agents.log.entry import Logged
from agents.log.journal import Journal
from agents.log.recorders import Row
from agents.log.writes import OwnershipLost, Write
from tests.agents.logs import accepted, created, ended, logged, new_ref, new_server
from tests.agents.test_session_property import Story, stage

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]


def kept(key: str, data: str, at: datetime) -> Kept:
    """A row of any model that is there, with a key that a recorder can choose."""
    return Kept(session_key=key, session_data=data, expire_date=at)


class Spans:
    """A recorder with a row for each run, which its end changes."""

    def __init__(self) -> None:
        self.calls = 0

    def record(self, write: Write, logged: Sequence[Logged], at: datetime) -> Iterable[Row]:
        self.calls += 1
        if write.new_run is not None:
            key = write.new_run.run_id.replace("-", "")
            yield Row(kept(key, f"began at {logged[0].seq}", at))
        for run_id in write.ends:
            row = kept(run_id.replace("-", ""), f"ended at {logged[-1].seq}", at)
            yield Row(row, ("session_data",))


class Raising:
    def record(self, write: Write, logged: Sequence[Logged], at: datetime) -> Iterable[Row]:
        yield Row(kept("never", "", at))
        raise RuntimeError("out of order")


class Refused:
    """Its second row is one that no database takes."""

    def record(self, write: Write, logged: Sequence[Logged], at: datetime) -> Iterable[Row]:
        yield Row(kept("first", "", at))
        yield Row(Kept(session_key="second", session_data=None, expire_date=at))


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


def test_a_write_that_the_log_refuses_is_not_recorded() -> None:
    spans = Spans()
    (result,) = Batch([accepted("no such session", 1, new_ref())], [spans]).commit()
    assert isinstance(result, OwnershipLost)
    assert (spans.calls, rows()) == (0, {})


class Missing(models.Model):
    """A model whose table is not there."""

    key = models.CharField(max_length=8, primary_key=True)

    class Meta:
        app_label = "agents"
        managed = False

    def __str__(self) -> str:
        return self.key


class WithoutTable:
    def record(self, write: Write, logged: Sequence[Logged], at: datetime) -> Iterable[Row]:
        yield Row(Missing(key="a"))


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
    save, losses = recorders._save, iter([OperationalError(1213, "Deadlock found")])

    def save_and_lose(rows: Sequence[Row]) -> None:
        save(rows)
        for loss in losses:
            raise loss

    monkeypatch.setattr(recorders, "_save", save_and_lose)
    with pytest.raises(OperationalError):
        batch.commit()
    assert (logged(write.session_id), rows()) == ([], {})
    journal._try_until_answered(batch)
    assert spans.calls == 4
    assert [seq for seq, *_ in logged(write.session_id)] == [1, 2]
    assert rows() == {key(ref.run_id): "began at 2"}


class Noting:
    """Writes down what it is told beside the entries."""

    told: ClassVar[list[tuple[str, str, str, bool, int, Any]]] = []

    def record(self, write: Write, logged: Sequence[Logged], at: datetime) -> Iterable[Row]:
        facts = write.facts
        for entry in write.entries:
            if entry.event == "agent.thinking" and facts is not None and facts.agent is not None:
                self.told.append(
                    (
                        facts.service,
                        facts.principal,
                        facts.agent.name,
                        facts.agent.enable_tracing,
                        facts.attempt,
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
