"""A batch's plain SQL agrees with the models, and its rules hold write by write."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
    transaction,
)
from django.db.models import NOT_PROVIDED, Model

from agents.log import commit as commit_module
from agents.log import kinds, statements
from agents.log.commit import Batch
from agents.log.entry import Entry
from agents.log.journal import MAX_BATCH, Journal, RowRefused
from agents.log.writes import (
    DuplicateMessage,
    NewRun,
    NewSession,
    OwnershipLost,
    RunEnded,
    RunStart,
    Write,
)
from agents.models import Event, Run, Session
from agents.runtime.database_errors import is_about_a_row, is_passing
from myagent.models.base import Usage
from myagent.steps import Answer
from myagent.worker.protocol import AgentInfo
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
from tests.locks import LOOK_S, somebody_waits

PATIENCE_S = 20.0

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]


def commit(*writes: Write) -> list[Any]:
    return list(Batch(writes).commit())


@pytest.fixture
def session_id() -> str:
    """A session that holds its first entry."""
    write = created(new_server())
    commit(write)
    return write.session_id


@pytest.mark.parametrize(
    ("model", "columns"),
    [
        (Session, statements.SESSION_COLUMNS),
        (Run, statements.RUN_COLUMNS),
        (Event, statements.EVENT_COLUMNS),
    ],
)
def test_every_column_that_needs_a_value_gets_one(
    model: type[Model], columns: Sequence[str]
) -> None:
    fields = {field.column: field for field in model._meta.concrete_fields}
    assert set(columns) <= set(fields)
    assert len(columns) == len(set(columns))
    for column, field in fields.items():
        has_value = field.null or field.db_default is not NOT_PROVIDED or field.primary_key
        assert column in columns or has_value, f"{model.__name__}.{column} gets no value"
    keys = {column for column, field in fields.items() if field.primary_key}
    assert keys <= set(columns) | {"id"}


def test_a_session_comes_back_as_it_was_written() -> None:
    server_id, before = new_server(), _whole_ms(datetime.now(UTC))
    new = NewSession(SERVICE, "zh-hans", server_id, tags='["a","é"]', client='{"k":[1,null]}')
    session_id = created(server_id).session_id
    first = kinds.session_created("en", AgentInfo("agent"), SERVICE, "c")
    commit(Write(session_id, 1, [first], new_session=new))
    session = Session.objects.get(pk=session_id)
    assert (session.service, session.lang) == (SERVICE, "zh-hans")
    assert (session.tags, session.client) == (["a", "é"], {"k": [1, None]})
    assert (session.owner_id, session.epoch, session.last_seq) == (server_id, 1, 1)
    assert before <= session.created_at <= session.updated_at <= datetime.now(UTC)
    assert (session.closed_at, session.close_reason) == (None, "")


def test_a_run_comes_back_as_it_was_written(session_id: str) -> None:
    started, queued, ahead = new_ref("a"), new_ref("b"), new_ref("c")
    commit(accepted(session_id, 1, started), accepted(session_id, 1, queued, None))
    entry = kinds.user_message("now", ahead, 1)
    first = NewRun(ahead.run_id, ahead.message_id, None, is_ahead=True)
    commit(Write(session_id, 1, [entry], new_run=first))
    runs = {run.message_id: run for run in Run.objects.filter(session_id=session_id)}
    assert [runs[name].accepted_seq for name in "abc"] == [2, 3, 4]
    assert [runs[name].position for name in "abc"] == [2, 3, -4]
    assert [runs[name].ordinal for name in "abc"] == [1, None, None]
    assert [runs[name].status for name in "abc"] == ["running", "queued", "queued"]
    assert runs["a"].started_at == runs["a"].accepted_at
    assert runs["b"].started_at is None
    assert {run.ended_at for run in runs.values()} == {None}


def test_an_entry_comes_back_as_it_was_written(session_id: str) -> None:
    ref = new_ref()
    commit(accepted(session_id, 1, ref))
    content = "naïve 漢字 🙂 \x00 \\ % %s ' \""
    entry = Entry("agent.tool_result", content, {"k": [1]}, "step", run_id=ref.run_id)
    (result,) = commit(Write(session_id, 1, [thought(ref), entry]))
    event = Event.objects.get(session_id=session_id, seq=4)
    assert orjson.loads(event.payload) == {"content": content, "metadata": {"k": [1]}}
    assert (event.event, event.step_id, event.run_id) == ("agent.tool_result", "step", ref.run_id)
    assert (event.epoch, event.message) == (1, None)
    assert event.created_at == result[1].created_at
    assert event.metadata == {"k": [1]}


def test_a_run_starts_and_ends_once(session_id: str) -> None:
    first, second = new_ref(), new_ref()
    commit(accepted(session_id, 1, first), accepted(session_id, 1, second, None))
    end = ended(session_id, 1, first)
    starts = RunStart(second.run_id, 2)
    commit(Write(session_id, 1, end.entries, ends=end.ends, starts=starts))
    runs = {run.pk: run for run in Run.objects.filter(session_id=session_id)}
    assert (runs[first.run_id].status, runs[second.run_id].status) == ("answered", "running")
    assert runs[first.run_id].ended_at == runs[second.run_id].started_at
    assert runs[second.run_id].ordinal == 2
    (again,) = commit(ended(session_id, 1, first))
    assert isinstance(again, RunEnded)


def test_a_closed_session_says_why(session_id: str) -> None:
    entry = kinds.session_end("en", "closed")
    commit(Write(session_id, 1, [entry], close_reason="closed"))
    session = Session.objects.get(pk=session_id)
    assert session.close_reason == "closed"
    assert session.closed_at == session.updated_at


def test_one_batch_is_as_good_as_its_writes_one_by_one(session_id: str) -> None:
    ref, late = new_ref(), new_ref()
    results = commit(
        accepted(session_id, 1, ref),
        Write(session_id, 1, [thought(ref)]),
        Write(session_id, 7, [thought(ref)]),
        cancelled(session_id, 1, ref),
        ended(session_id, 1, ref),
        Write(session_id, 1, [thought(late)]),
        accepted(session_id, 1, late, 2),
    )
    outcomes = [type(result).__name__ for result in results]
    assert outcomes == ["list", "list", "OwnershipLost", "list", "RunEnded", "RunEnded", "list"]
    seqs = [entry.seq for result in results if isinstance(result, list) for entry in result]
    assert seqs == [2, 3, 4, 5, 6]
    assert [seq for seq, *_ in logged(session_id)] == [1, *seqs]


def test_a_session_that_is_not_there_belongs_to_nobody() -> None:
    (result,) = commit(accepted("no such session", 1, new_ref()))
    assert isinstance(result, OwnershipLost)


async def outcomes(journal: Journal, *writes: Write) -> list[Any]:
    """What the journal says to writes that were handed over together."""
    return await asyncio.gather(*map(journal.write, writes), return_exceptions=True)


@pytest.fixture
async def running_journal() -> AsyncIterator[Journal]:
    journal = Journal()
    journal.start()
    yield journal
    await journal.stop()


async def a_session(journal: Journal) -> str:
    write = created(await sync_to_async(new_server)())
    await journal.write(write)
    return write.session_id


async def rows(session_id: str) -> list[Any]:
    return await sync_to_async(logged)(session_id)


async def test_one_bad_row_does_not_sink_its_batch(running_journal: Journal) -> None:
    session_id = await a_session(running_journal)
    ref = new_ref()
    bad = Entry("agent.tool_result", "x", {}, run_id=ref.run_id)
    object.__setattr__(bad, "event", None)
    found = await outcomes(
        running_journal,
        accepted(session_id, 1, ref),
        Write(session_id, 1, [bad]),
        Write(session_id, 1, [thought(ref)]),
    )
    assert [type(each) for each in found] == [list, RowRefused, list]
    assert [seq for seq, *_ in await rows(session_id)] == [1, 2, 3]


async def test_an_entry_at_which_the_server_would_hang_up_holds_up_no_other(
    running_journal: Journal,
) -> None:
    session_id, ref = await a_session(running_journal), new_ref()
    huge = kinds.final_answer(Answer("x" * (40 * 1024 * 1024), 1, Usage()), ref, 1)
    async with asyncio.timeout(PATIENCE_S):
        found = await outcomes(
            running_journal,
            accepted(session_id, 1, ref),
            Write(session_id, 1, [huge], ends={ref.run_id: "answered"}),
            ended(session_id, 1, ref),
        )
    assert [type(each) for each in found] == [list, RowRefused, list]


async def test_a_duplicate_in_the_same_batch_names_the_original(running_journal: Journal) -> None:
    session_id = await a_session(running_journal)
    found = await outcomes(
        running_journal,
        accepted(session_id, 1, new_ref("same")),
        accepted(session_id, 1, new_ref("other")),
        accepted(session_id, 1, new_ref("same")),
    )
    assert isinstance(found[2], DuplicateMessage)
    assert found[2].seq == found[0][0].seq
    assert len(await rows(session_id)) == 3


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many writes each transaction that was tried was about."""
    commit_really, sizes = Batch.commit, []

    def count(self: Batch) -> Any:
        sizes.append(len(self.writes))
        return commit_really(self)

    monkeypatch.setattr(Batch, "commit", count)
    return sizes


def test_repeated_messages_are_refused_alone_in_the_transaction_of_the_others(
    session_id: str, commits: list[int]
) -> None:
    other = created(new_server())
    old, elsewhere = accepted(session_id, 1, new_ref("old")), new_ref("old")
    commit(old, other)
    commits.clear()
    thinking = new_ref("new 0")
    writes = [
        *(accepted(session_id, 1, new_ref(f"new {number}"), None) for number in range(1, 40)),
        accepted(session_id, 1, thinking),
        accepted(session_id, 1, new_ref("old"), None),
        accepted(session_id, 1, new_ref("new 7"), None),
        accepted(session_id, 7, new_ref("refused"), None),
        accepted(session_id, 1, new_ref("refused"), None),
        accepted(session_id, 1, new_ref("OLD"), None),
        accepted(other.session_id, 1, elsewhere),
        Write(session_id, 1, [thought(thinking)]),
    ]
    *new, again, twice, stale, first, capitals, same, step = Journal()._commit(writes)
    assert commits == [len(writes)]
    assert isinstance(again, DuplicateMessage)
    assert again.seq == 2
    assert isinstance(twice, DuplicateMessage)
    assert twice.seq == new[6][0].seq
    assert isinstance(stale, OwnershipLost)
    seqs = [result[0].seq for result in [*new, first, capitals, step]]
    assert seqs == list(range(3, 3 + len(seqs))), "what is refused takes no place in the log"
    assert same[0].seq == 2, "in another session it is another message"


def test_only_a_batch_with_a_repeated_message_pays_for_looking_it_up(
    session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, looked = commit_module.accepted_messages, []

    def count(cursor: Any, writes: Sequence[Write]) -> Any:
        looked.append(len(writes))
        return look(cursor, writes)

    monkeypatch.setattr(commit_module, "accepted_messages", count)
    commit(accepted(session_id, 1, new_ref("a")), accepted(session_id, 1, new_ref("a")))
    assert looked == [], "in the same batch it is seen without"
    results = commit(*(accepted(session_id, 1, new_ref(name)) for name in "bac"))
    assert [type(result) for result in results] == [list, DuplicateMessage, list]
    assert looked == [3]


def test_what_refers_to_a_refused_repetition_is_refused_too(session_id: str) -> None:
    commit(accepted(session_id, 1, new_ref("old")))
    repeated = new_ref("old")
    results = commit(accepted(session_id, 1, repeated, None), cancelled(session_id, 1, repeated))
    assert [type(result) for result in results] == [DuplicateMessage, RunEnded]


def test_a_repetition_that_was_not_seen_in_time_is_refused_alone_all_the_same(
    session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(accepted(session_id, 1, new_ref("old")))
    monkeypatch.setattr(commit_module, "accepted_messages", lambda *_: {})
    writes = [accepted(session_id, 1, new_ref(name), None) for name in ("a", "old", "b")]
    before, again, after = Journal()._commit(writes)
    assert isinstance(again, DuplicateMessage)
    assert (before[0].seq, again.seq, after[0].seq) == (3, 2, 4)


def test_a_bad_row_costs_a_few_transactions_and_not_one_for_each_other(
    session_id: str, commits: list[int]
) -> None:
    ref = new_ref()
    bad = Entry("agent.tool_result", "x", {}, run_id=ref.run_id)
    object.__setattr__(bad, "event", None)
    writes = [accepted(session_id, 1, ref)]
    writes += [Write(session_id, 1, [thought(ref)]) for _ in range(MAX_BATCH - 1)]
    writes[100] = Write(session_id, 1, [bad])
    outcomes = Journal()._commit(writes)
    assert isinstance(outcomes.pop(100), RowRefused)
    assert [outcome[0].seq for outcome in outcomes] == list(range(2, MAX_BATCH + 1))
    assert len(commits) <= 2 * 8 + 1


@pytest.mark.parametrize("effect", [True, False])
async def test_a_commit_of_unknown_outcome_takes_effect_once(
    running_journal: Journal, monkeypatch: pytest.MonkeyPatch, effect: bool
) -> None:
    session_id = await a_session(running_journal)
    commit_really, failures = Batch.commit, iter([True])

    def commit_and_fail(self: Batch) -> Any:
        if not next(failures, False):
            return commit_really(self)
        if effect:
            commit_really(self)
        raise OperationalError(2013, "the connection was lost")

    monkeypatch.setattr(Batch, "commit", commit_and_fail)
    ref = new_ref()
    found = await outcomes(running_journal, accepted(session_id, 1, ref))
    assert [[entry.seq for entry in each] for each in found] == [[2]]
    assert [row[2] for row in await rows(session_id)] == ["agent.session_created", "user.message"]
    assert running_journal.is_available


def test_a_commit_at_which_the_server_is_still_at_work_takes_effect_once(
    session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("It has no connection to lose.")
    ref = new_ref()
    commit(accepted(session_id, 1, ref))
    commit_really, is_written = Batch.commit, threading.Event()

    def commit_slowly(batch: Batch) -> None:
        try:
            with transaction.atomic():
                commit_really(batch)
                is_written.set()
                deadline = time.monotonic() + PATIENCE_S
                while not somebody_waits() and time.monotonic() < deadline:
                    time.sleep(LOOK_S)
        finally:
            connection.close()

    def lose_the_connection(self: Batch) -> Any:
        if is_written.is_set():
            return commit_really(self)
        server.submit(commit_slowly, self)
        assert is_written.wait(PATIENCE_S)
        raise OperationalError(2013, "the connection was lost")

    monkeypatch.setattr(Batch, "commit", lose_the_connection)
    writes = [created(new_server()), Write(session_id, 1, [thought(ref)])]
    with ThreadPoolExecutor(1) as server:
        outcomes = Journal()._commit(writes)
    assert [[entry.seq for entry in outcome] for outcome in outcomes] == [[1], [3]]
    assert [event for _, _, event, _ in logged(session_id)].count("agent.thinking") == 1


def test_what_a_promoted_copy_executed_at_the_last_moment_is_not_written_again(
    session_id: str,
) -> None:
    """Between the look for it and the next attempt."""
    ref = new_ref()
    commit(accepted(session_id, 1, ref))
    batch = Batch([Write(session_id, 1, [thought(ref)])])
    first = batch.commit()
    assert batch.commit() == first
    assert [event for _, _, event, _ in logged(session_id)].count("agent.thinking") == 1


def test_an_attempt_that_did_not_reach_the_database_makes_none_before_it_forgotten(
    session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = new_ref()
    commit(accepted(session_id, 1, ref))
    batch = Batch([Write(session_id, 1, [thought(ref)])])
    first = batch.commit()

    def away(*queries: object) -> Any:
        raise OperationalError(2003, "there is no server")

    with monkeypatch.context() as lost, pytest.raises(OperationalError):
        lost.setattr(commit_module, "one_transaction", away)
        batch.commit()
    assert batch.find_committed() == first
    assert batch.commit() == first
    assert [event for _, _, event, _ in logged(session_id)].count("agent.thinking") == 1


def test_a_session_that_was_taken_over_meanwhile_has_no_other_written_again(
    session_id: str,
) -> None:
    other, refs = created(new_server()), [new_ref(), new_ref()]
    commit(other)
    ids = [session_id, other.session_id]
    commit(*(accepted(id_, 1, ref) for id_, ref in zip(ids, refs, strict=True)))
    batch = Batch([Write(id_, 1, [thought(ref)]) for id_, ref in zip(ids, refs, strict=True)])
    first = batch.commit()
    Session.objects.filter(pk=session_id).update(epoch=2)
    assert batch.commit() == first
    assert [event for _, _, event, _ in logged(ids[1])].count("agent.thinking") == 1


def test_what_was_not_committed_is_not_found(session_id: str) -> None:
    written = Batch([accepted(session_id, 1, new_ref())])
    assert written.find_committed() is None
    written.commit()
    assert written.find_committed() == written.planned
    stale = Batch([accepted(session_id, 9, new_ref())])
    stale.commit()
    assert stale.find_committed() is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationalError(2006, "server has gone away"), True),
        (OperationalError("database is locked"), True),
        (OperationalError("database or disk is full"), True),
        (InterfaceError(0, ""), True),
        (OperationalError(1153, "packet too large"), False),
        (IntegrityError("UNIQUE constraint failed"), False),
        (DatabaseError("malformed"), False),
    ],
)
def test_a_passing_trouble_is_told_from_a_row_that_never_fits(
    error: DatabaseError, expected: bool
) -> None:
    assert is_passing(error) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (IntegrityError("FOREIGN KEY constraint failed"), True),
        (DataError(1264, "out of range"), True),
        (OperationalError(1205, "lock wait timeout exceeded"), True),
        (OperationalError(1213, "deadlock found"), True),
        (OperationalError(1153, "packet too large"), True),
        (OperationalError(2006, "server has gone away"), False),
        (OperationalError("database is locked"), False),
        (OperationalError(), False),
        (InterfaceError(0, ""), False),
        (DatabaseError("malformed"), False),
    ],
)
def test_a_row_that_cannot_be_written_now_is_told_from_a_database_that_cannot(
    error: DatabaseError, expected: bool
) -> None:
    assert is_about_a_row(error) is expected


def _whole_ms(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
