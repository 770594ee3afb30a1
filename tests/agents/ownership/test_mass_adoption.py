"""Many sessions are taken over at once, as each would be alone; what is not plain is left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Collection
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction
from django.db.models.functions import Now

from agents.log import reading
from agents.log.commit import Batch
from agents.log.fold import History
from agents.log.writes import Write
from agents.models import Event, Server, Session
from agents.ownership import servers, taking
from agents.ownership.adoption import Adopted, adopt
from agents.ownership.mass_adoption import MOST_CHARACTERS, MOST_ENTRIES, adopt_together
from agents.runtime.process import own_identity
from tests.agents.logs import (
    SERVICE,
    accepted,
    cancelled,
    created,
    ended,
    new_ref,
    new_server,
    thought,
)
from tests.agents.recording_socket import RecordingSocket
from tests.agents.test_session_property import Story, stage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

PATIENCE_S = 30.0


def session(owner_id: str, turns: int = 1, *, is_unfinished: bool = False) -> str:
    """A new session with some turns; its id."""
    first = created(owner_id)
    Batch([first]).commit()
    for ordinal in range(1, turns + 1):
        ref = new_ref()
        Batch([accepted(first.session_id, 1, ref, ordinal)]).commit()
        Batch([Write(first.session_id, 1, [thought(ref)])]).commit()
        if not (is_unfinished and ordinal == turns):
            end = cancelled if ordinal % 3 == 0 else ended
            Batch([end(first.session_id, 1, ref)]).commit()
    return first.session_id


@pytest.fixture
def dead_id() -> str:
    server_id = new_server()
    servers.end(server_id)
    return server_id


def owner_of(session_id: str) -> tuple[str | None, int]:
    return Session.objects.values_list("owner_id", "epoch").get(pk=session_id)


def remembered(history: History) -> list[Any]:
    return [message.to_dict() for message in history.messages()]


def test_each_is_taken_over_as_it_would_be_alone(dead_id: str, settings: Any) -> None:
    settings.MYAGENT_CONTEXT_TOKENS = 40
    sessions = [session(dead_id, turns) for turns in (0, 1, 3, 12)]
    together = adopt_together(sessions, [SERVICE], new_server())
    assert set(together) == set(sessions)
    for session_id in sessions:
        Session.objects.filter(pk=session_id).update(owner_id=dead_id)
        alone = adopt(session_id, [SERVICE], new_server())
        found = together[session_id]
        assert found.taken.epoch + 1 == alone.taken.epoch == owner_of(session_id)[1]
        assert described(found) == described(alone)


def described(adopted: Adopted) -> tuple[Any, ...]:
    taken, opened = adopted.taken, adopted.opened
    return (
        (taken.session_id, taken.service, taken.lang, taken.principal, taken.last_seq),
        taken.is_closed,
        remembered(opened.history),
        (opened.last_ordinal, opened.unfinished, opened.knows_all_messages),
        list(opened.message_ids.items()),
    )


def test_what_is_not_plain_is_left_as_it_was(dead_id: str) -> None:
    living_id, own_id = new_server(), new_server()
    left = {
        "of a living server": session(living_id),
        "closed": session(dead_id),
        "with an unfinished run": session(dead_id, is_unfinished=True),
        "with a long log": session(dead_id),
        "of another service": session(dead_id),
    }
    Session.objects.filter(pk=left["closed"]).update(closed_at=Now())
    Session.objects.filter(pk=left["with a long log"]).update(last_seq=MOST_ENTRIES + 1)
    Session.objects.filter(pk=left["of another service"]).update(service="another")
    before = {session_id: owner_of(session_id) for session_id in left.values()}
    plain, own, free = session(dead_id), session(own_id), session(own_id)
    Session.objects.filter(pk=free).update(owner=None)
    asked = [plain, own, free, *left.values(), plain.upper() + "X", "nobody"]
    assert set(adopt_together(asked, [SERVICE], own_id)) == {plain, own, free}
    assert {session_id: owner_of(session_id) for session_id in before} == before


def test_an_id_in_another_spelling_is_another(dead_id: str) -> None:
    session_id = session(dead_id).upper()
    assert not adopt_together([session_id, session(new_server())], [SERVICE], new_server())


def test_a_server_whose_process_is_gone_owns_nothing_any_more() -> None:
    place, _, start = own_identity().rpartition("/")
    gone_id = new_server(f"{place}/{int(start) - 1}")
    sessions = [session(gone_id) for _ in range(2)]
    taken = adopt_together(sessions, [SERVICE], new_server())
    assert set(taken) == set(sessions)
    assert Server.objects.get(pk=gone_id).ended_at is not None


def test_two_servers_that_take_the_same_share_no_session(dead_id: str) -> None:
    sessions = [session(dead_id) for _ in range(6)]
    own_ids = [new_server() for _ in range(2)]
    results: dict[str, Collection[str]] = {}

    def take(own_id: str) -> None:
        try:
            results[own_id] = set(adopt_together(sessions, [SERVICE], own_id))
        finally:
            connection.close()

    threads = [threading.Thread(target=take, args=(own_id,)) for own_id in own_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    for own_id in own_ids:
        assert all(owner_of(session_id) == (own_id, 2) for session_id in results[own_id])
    assert sum(map(len, results.values())) <= len(sessions)


def test_who_takes_a_session_waits_for_nobody_who_has_locked_it(dead_id: str) -> None:
    if not connection.features.has_select_for_update:
        pytest.skip("the database locks no rows")
    locked = session(dead_id)
    refused: list[Exception] = []

    def take() -> None:
        try:
            adopt(locked, [SERVICE], new_server())
        except taking.Locked as error:
            refused.append(error)
        finally:
            connection.close()

    taker = threading.Thread(target=take)
    with transaction.atomic():
        assert Session.objects.select_for_update().get(pk=locked)
        taker.start()
        taker.join(PATIENCE_S)
        assert len(refused) == 1
    assert adopt(locked, [SERVICE], new_server()).taken.session_id == locked


def test_one_whose_row_is_locked_holds_up_no_other(dead_id: str) -> None:
    if not connection.features.has_select_for_update:
        pytest.skip("the database locks no rows")
    locked, free = session(dead_id), session(dead_id)
    taken: list[Collection[str]] = []

    def take() -> None:
        try:
            taken.append(set(adopt_together([locked, free], [SERVICE], new_server())))
        finally:
            connection.close()

    with transaction.atomic():
        assert Session.objects.select_for_update().get(pk=locked)
        thread = threading.Thread(target=take)
        thread.start()
        thread.join(PATIENCE_S)
    assert taken == [{free}]


def test_a_failure_leaves_what_was_taken_to_be_taken_again(
    dead_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions, own_id = [session(dead_id) for _ in range(2)], new_server()

    def fail(*_: Any) -> None:
        raise ValueError("not JSON")

    with monkeypatch.context() as broken, pytest.raises(ValueError, match="not JSON"):
        broken.setattr(reading, "open_short", fail)
        adopt_together(sessions, [SERVICE], own_id)
    assert adopt(sessions[0], [SERVICE], own_id).opened.last_ordinal == 1


def test_of_many_logs_each_ones_next_entries_are_read(dead_id: str) -> None:
    sessions = [session(dead_id, turns) for turns in (0, 2, 9)]
    places = [(session_id, seq) for session_id in sessions for seq in (0, 1, 5, 1_000)]
    found = reading.next_entries([*places, ("nobody", 0)])
    assert found.pop(("nobody", 0)) == []
    assert found == {
        (session_id, seq): reading.entries_after(session_id, seq, reading.FIRST_PAGE)
        for session_id, seq in places
    }


@pytest.fixture
async def sessions(dead_id: str) -> list[str]:
    return [await sync_to_async(session)(dead_id, turns) for turns in (1, 2, 8)]


@pytest.fixture
async def story(sessions: list[str]) -> AsyncIterator[Story]:
    """Begins when the sessions are whole: one whose run goes on yet would be adopted."""
    with stage() as agents:
        story = Story(agents, SERVICE)
        await story.begin()
        yield story
        await story.conversations.stop()


async def come_back(story: Story, session_id: str, seq: int) -> list[int]:
    """A client that has the entries up to `seq` comes back; those that it is sent."""
    socket = RecordingSocket()
    await story.conversations.port.attach(socket, session_id, seq)
    async with asyncio.timeout(PATIENCE_S):
        await socket.hear("agent.replay_complete")
    return [frame["seq"] for frame in socket.told if "seq" in frame]


async def test_all_that_come_back_at_once_are_taken_together_and_miss_nothing(
    story: Story, sessions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    singly: list[Any] = []
    monkeypatch.setattr(taking, "take", lambda *args: singly.append(args))
    found = await asyncio.gather(*(come_back(story, each, 2) for each in sessions))
    ends = [1 + 3 * turns for turns in (1, 2)]
    # Every third turn was cancelled, which is an entry more.
    ends.append(1 + 3 * 8 + 2)
    assert found == [list(range(3, end + 1)) for end in ends]
    assert not singly


async def test_of_those_that_come_back_one_that_cannot_be_read_costs_no_other(
    story: Story, sessions: list[str]
) -> None:
    broken, *sound = sessions
    messages = Event.objects.filter(session_id=broken, message__isnull=False)
    await messages.aupdate(message="not JSON")
    asked = (come_back(story, each, 1) for each in sessions)
    failed, *found = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(failed, ValueError)
    assert [seqs[-1] for seqs in found if isinstance(seqs, list)] == [7, 27]
    assert len(sound) == 2


def test_what_is_large_is_not_read_together_with_others(dead_id: str) -> None:
    own_id = new_server()
    large, small = session(dead_id), session(dead_id)
    entries = Event.objects.filter(session_id=large, message__isnull=False)
    entries.filter(event="user.message").update(
        message='{"role": "user", "content": "' + "x" * MOST_CHARACTERS + '"}'
    )
    assert adopt_together([large, small], [SERVICE], own_id).keys() == {small}


def test_entries_that_are_read_together_end_before_a_large_one(dead_id: str) -> None:
    large, small = session(dead_id), session(dead_id)
    payload = '{"content": "' + "x" * reading.MOST_TOGETHER + '", "metadata": {}}'
    Event.objects.filter(session_id=large, seq=3).update(payload=payload)
    found = reading.next_entries([(large, 1), (small, 1)])
    assert [each.seq for each in found[large, 1]] == [2]
    assert [each.seq for each in found[small, 1]] == [2, 3, 4]
