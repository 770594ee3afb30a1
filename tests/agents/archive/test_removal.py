"""What is removed of stored conversations, and that nothing alive ever is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from agents.archive import removal
from agents.log.commit import Batch
from agents.log.writes import OwnershipLost
from agents.models import Event, Run, Session
from agents.ownership import servers, taking
from agents.ownership.taking import UnknownSession
from tests.agents.archive import stored
from tests.agents.logs import SERVICE, ended, new_ref, new_server
from tests.agents.logs import accepted as message

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

LONG_AGO = timezone.now() - timedelta(days=40)
MONTH_AGO = timezone.now() - timedelta(days=30)


def aged(session_id: str) -> str:
    Session.objects.filter(pk=session_id).update(updated_at=LONG_AGO)
    return session_id


def test_only_old_ones_at_rest_are_removed_and_wholly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "AT_ONCE", 2)
    monkeypatch.setattr(removal, "ENTRIES_AT_ONCE", 2)
    living = new_server()
    old = {aged(stored.stored("one", "two", "three")) for _ in range(5)}
    old_and_closed = aged(stored.stored("bye"))
    stored.close(old_and_closed)
    aged(old_and_closed)
    kept = {
        stored.stored("young"),
        aged(stored.stored("owned", server_id=living)),
        aged(stored.stored("unfinished", ends=False)),
    }
    old.add(old_and_closed)
    assert stored.ids(list(removal.older(MONTH_AGO))) == old
    assert set(removal.remove_older(MONTH_AGO)) == old
    assert stored.ids(list(Session.objects.all())) == kept
    for rows in (Event, Run):
        assert set(rows.objects.values_list("session_id", flat=True)) == kept
    assert list(removal.remove_older(MONTH_AGO)) == []


def test_one_of_a_server_whose_lease_has_expired_is_at_rest_and_that_server_is_fenced() -> None:
    gone = new_server(lease_s=-1.0)
    session_id = aged(stored.stored("left behind", server_id=gone))
    late = message(session_id, 1, new_ref())
    assert removal.remove_at_rest(session_id, MONTH_AGO)
    assert isinstance(Batch([late]).commit()[0], OwnershipLost)
    assert not Session.objects.exists()


def test_who_is_first_has_it() -> None:
    session_id = aged(stored.stored("wanted"))
    server = new_server()
    taking.take(session_id, [SERVICE], server)
    assert not removal.remove_at_rest(session_id)
    servers.retire(server)
    assert removal.remove_at_rest(session_id)
    with pytest.raises(UnknownSession):
        taking.take(session_id, [SERVICE], server)


def test_a_removal_that_was_cut_off_is_finished_by_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session_id = aged(stored.stored("one", "two"))

    def fail(_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(removal, "delete_rows", fail)
        with pytest.raises(ConnectionError):
            removal.remove_at_rest(session_id, MONTH_AGO)
    row = Session.objects.get(pk=session_id)
    assert row.close_reason == "expired" and row.closed_at is not None
    # Nobody can write to it any more.
    assert isinstance(Batch([ended(session_id, 1, new_ref())]).commit()[0], OwnershipLost)
    assert list(removal.remove_older(MONTH_AGO)) == [session_id]
    assert not Session.objects.exists() and not Event.objects.exists()
