"""What the database does with a request is what `decisions` says, in every state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from django.db.models.functions import Now

from agents.models import InboxRow, Session
from agents.ownership import requests
from agents.ownership.decisions import (
    Request,
    State,
    may_be_answered,
    may_be_carried_out,
    may_expire,
)
from agents.ownership.requests import Answered, Asked
from agents.principals import Principal
from agents.runtime.ids import new_id

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

CASES = list(product(State, (1, 2, 3), (False, True)))


def new_session(epoch: int = 2, *, is_closed: bool = False) -> Session:
    now = datetime.now(UTC)
    return Session.objects.create(
        id=new_id(),
        service="tested",
        epoch=epoch,
        created_at=now,
        updated_at=now,
        closed_at=now if is_closed else None,
    )


def new_row(session: Session, case: tuple[State, int, bool], number: int = 1) -> InboxRow:
    state, epoch, is_late = case
    row = InboxRow(
        follower=session.pk,
        number=number,
        session=session,
        kind=InboxRow.Kind.REQUEST,
        state=state,
        epoch=epoch,
        deadline=Now() + timedelta(seconds=-60 if is_late else 60),
    )
    row.save()
    return row


def state_of(row: InboxRow) -> str:
    return InboxRow.objects.values_list("state", flat=True).get(pk=row.pk)


def test_an_owner_takes_what_may_be_carried_out() -> None:
    session = new_session()
    for number, case in enumerate(CASES):
        row = new_row(session, case, number)
        taken = requests.take([row.pk], epoch=2)
        assert bool(taken) == may_be_carried_out(Request(*case), 2), case


def test_what_was_taken_by_a_try_of_unknown_outcome_is_taken_by_the_next() -> None:
    session = new_session()
    late, new, earlier, done = (
        new_row(session, case, number)
        for number, case in enumerate(
            [
                (State.TAKEN, 2, True),
                (State.NEW, 0, False),
                (State.TAKEN, 1, False),
                (State.DONE, 2, False),
            ]
        )
    )
    row_ids = [row.pk for row in (late, new, earlier, done)]
    taken = requests.take(row_ids, 2, is_again=True)
    assert [each.row_id for each in taken] == [late.pk, new.pk, earlier.pk]


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_follower_gives_up_what_may_expire(is_closed: bool) -> None:
    session = new_session(is_closed=is_closed)
    for number, case in enumerate(CASES):
        if case[0] == State.EXPIRED:
            continue
        row = new_row(session, case, number)
        requests.expire([row.pk])
        has_expired = state_of(row) == State.EXPIRED
        assert has_expired == may_expire(Request(*case), 2, is_closed=is_closed), case


def test_an_owner_answers_what_it_took_while_it_is_the_owner() -> None:
    session = new_session()
    for number, (case, epoch) in enumerate(product(CASES, (1, 2))):
        row = new_row(session, case, number)
        is_answered = requests.answer(row.pk, session.pk, epoch, "{}")
        assert is_answered == may_be_answered(Request(*case), epoch, 2), (case, epoch)


def test_a_request_is_written_once_and_keeps_who_asks() -> None:
    session = new_session()
    ann = Principal("ann", "Ann")
    asked = Asked("a follower", 1, session.pk, '{"event":"user.cancel"}', ann)
    row_id = requests.write(asked)
    assert requests.write(asked) == row_id
    [taken] = requests.take([row_id], epoch=2)
    assert taken.payload == asked.payload
    assert taken.principal == Principal("ann", "ann")
    everybody = Asked("a follower", 2, session.pk, "{}", None)
    [open_mode] = requests.take([requests.write(everybody)], epoch=2)
    assert open_mode.principal is None


def test_a_request_that_is_gone_needs_no_more_waiting_for() -> None:
    session = new_session()
    gone, new, done = (
        new_row(session, (state, 2, False), number)
        for number, state in enumerate([State.NEW, State.NEW, State.DONE])
    )
    InboxRow.objects.filter(pk=gone.pk).delete()
    found = requests.answers([gone.pk, new.pk, done.pk])
    assert found == [Answered(gone.pk, None), Answered(done.pk, "")]


def test_what_dead_servers_left_is_swept_away() -> None:
    session = new_session()
    fresh, old = (new_row(session, (State.DONE, 2, is_late), is_late) for is_late in (False, True))
    InboxRow.objects.filter(pk=old.pk).update(deadline=Now() - 2 * requests.KEPT)
    requests.sweep()
    assert list(InboxRow.objects.values_list("pk", flat=True)) == [fresh.pk]
