"""What goes wrong between the owner of a session and a server that follows it is put right."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError

from agents.log import reading
from agents.models import Event, InboxRow, Session
from agents.ownership import followers, requests, servers, taking
from agents.ownership.taking import UnknownSession
from agents.ports import Refused
from agents.principals import Principal
from agents.runs.link import dial
from agents.sessions import asking, neighbours
from agents.sessions.conversations import Conversations
from tests.agents.logs import SERVICE
from tests.agents.recording_socket import RecordingSocket
from tests.agents.test_session_property import PATIENCE_S, Story, parsed, stage

pytestmark = pytest.mark.django_db(transaction=True)


class Site(Story):
    """A story with several servers at once; the first one owns its session."""

    async def start_another(self) -> Conversations:
        found = self.new_conversations()
        self.all_conversations.append(found)
        found.workers.of(SERVICE).add(await dial(self._stage.path, "a test"))
        await found.start()
        return found

    async def visit(self, conversations: Conversations, session_id: str = "") -> RecordingSocket:
        """A client of the session at another server."""
        socket = RecordingSocket()
        await conversations.port.attach(socket, session_id or self.session_id, 0)
        return socket

    async def say(self, at: Conversations, socket: RecordingSocket, message_id: str) -> None:
        metadata = {"message_id": message_id}
        event = parsed(
            "user.message", session_id=self.session_id, content=message_id, metadata=metadata
        )
        await at.port.send(socket, event)


@pytest.fixture
async def site(settings: Any) -> AsyncIterator[Site]:
    settings.MYAGENT_ADOPT_S = 60.0
    with stage() as agents:
        site = Site(agents, SERVICE)
        site.permits.open()
        await site.begin()
        yield site
        for conversations in site.all_conversations:
            await conversations.stop()


async def heard(socket: RecordingSocket, event: str, **metadata: Any) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        return await socket.hear(event, **metadata)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        # Looks at the database are no events.
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def fail_once(
    work: Callable[..., Any], *, at: int = 1, is_done_before: bool = False
) -> Callable[..., Any]:
    """The database goes away at this call of the work: before it, or after."""
    calls = itertools.count(1)

    def fail(*args: Any, **options: Any) -> Any:
        if next(calls) != at:
            return work(*args, **options)
        if is_done_before:
            work(*args, **options)
        raise OperationalError("away")

    return fail


def hold_errands(conversations: Conversations) -> Callable[[], None]:
    """The server carries nothing out for others until the result is called."""
    errands: Any = conversations._neighbours._errands
    note = errands.note
    errands.note = lambda waiting: None

    def release() -> None:
        errands.note = note

    return release


async def test_a_request_is_carried_out_once_though_the_database_left_as_it_was_taken(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "take", fail_once(requests.take, is_done_before=True))
    other = await site.start_another()
    client = await site.visit(other)
    await site.say(other, client, "a")
    await heard(client, "agent.final_answer", message_id="a")
    assert await Event.objects.filter(event="user.message").acount() == 1


async def test_who_waits_for_a_request_that_is_gone_is_told(site: Site) -> None:
    hold_errands(site.conversations)
    other = await site.start_another()
    client = await site.visit(other)
    await site.say(other, client, "a")
    await InboxRow.objects.filter(kind=InboxRow.Kind.REQUEST).adelete()
    await heard(client, "system.error", code="service_unavailable", message_id="a")
    await until(lambda: not other._sessions.following.waits_for_answers)


async def test_who_is_not_told_whether_a_message_was_saved_may_send_it_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await site.start_another()
    client = await site.visit(other)
    write = requests.write

    def write_and_fail(asked: requests.Asked) -> int:
        write(asked)
        raise OperationalError("away")

    monkeypatch.setattr(asking, "WRITE_AGAIN_S", 0.0)
    monkeypatch.setattr(requests, "write", write_and_fail)
    unnamed = parsed("user.message", session_id=site.session_id, content="once")
    with pytest.raises(Refused, match="storage_unavailable") as refused:
        await other.port.send(client, unnamed)
    assert refused.value.sentence == "storage_uncertain"
    message_id = refused.value.message_id
    assert message_id
    monkeypatch.setattr(requests, "write", write)
    await heard(client, "agent.final_answer", message_id=message_id)
    await site.say(other, client, message_id)
    await heard(client, "user.message", message_id=message_id, duplicate=True)
    assert await Event.objects.filter(event="user.message").acount() == 1


async def test_after_a_take_over_requests_keep_their_order(site: Site) -> None:
    first = site.conversations
    hold_errands(first)
    other = await site.start_another()
    client = await site.visit(other)
    await site.say(other, client, "a")
    release = hold_errands(other)
    await sync_to_async(servers.end)(first.lease.server_id)
    await until(lambda: other._sessions.get(site.session_id) is not None)
    await site.say(other, client, "b")
    release()
    for message_id in "ab":
        await heard(client, "agent.final_answer", message_id=message_id)
    said = [each["content"] for each in client.told if each["event"] == "user.message"]
    assert said == ["a", "b"]
    # As soon as nothing waits any more, requests take the short way.
    await until(lambda: not other._sessions.following)
    asked = await InboxRow.objects.acount()
    await site.say(other, client, "c")
    await heard(client, "agent.final_answer", message_id="c")
    assert await InboxRow.objects.acount() == asked == 0


async def test_a_followed_session_that_is_gone_or_broken_holds_up_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, broken = [await begin_session(site) for _ in range(2)]
    other = await site.start_another()
    lost, astray = [await site.visit(other, session_id) for session_id in (gone, broken)]
    client = await site.visit(other)
    read = followers.read

    def read_some(session_id: str, *args: Any) -> Any:
        if session_id == gone:
            raise UnknownSession(session_id)
        if session_id == broken:
            raise ValueError("unreadable")
        return read(session_id, *args)

    monkeypatch.setattr(followers, "read", read_some)
    other._sessions.following._stale |= {gone, broken}
    await site.say(other, client, "a")
    await heard(client, "agent.final_answer", message_id="a")
    async with asyncio.timeout(PATIENCE_S):
        await lost.closed()
    assert lost.last_word["metadata"]["code"] == "unknown_session"
    assert broken in astray.attached and astray.close_code is None


async def begin_session(site: Site) -> str:
    """Another session of the first server, with a client there."""
    socket = RecordingSocket()
    site.sockets.insert(0, socket)
    await site.conversations.port.create(socket, parsed("user.create_session"))
    return str((await heard(socket, "agent.session_created"))["session_id"])


async def test_an_answer_that_could_not_be_read_is_passed_on_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await site.start_another()
    client = await site.visit(other)
    await site.say(other, client, "a")
    await heard(client, "agent.final_answer", message_id="a")
    # The owner reads it first.
    monkeypatch.setattr(reading, "entry_at", fail_once(reading.entry_at, at=2))
    await site.say(other, client, "a")

    def echoes() -> int:
        return sum(frame["event"] == "user.message" for frame in client.told)

    await until(lambda: echoes() == 2)
    await until(lambda: not other._sessions.following.waits_for_answers)
    await until_no_row()


async def until_no_row() -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await InboxRow.objects.aexists():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_one_client_that_cannot_be_told_holds_up_no_other(site: Site) -> None:
    other = await site.start_another()
    client, broken = await site.visit(other), await site.visit(other)
    broken.tell = lambda transient: 1 / 0  # type: ignore[assignment, method-assign, return-value]
    release = hold_errands(site.conversations)
    cancel = parsed("user.cancel", session_id=site.session_id, metadata={"run_id": "none"})
    for socket in (broken, client):
        await other.port.send(socket, cancel)
    release()
    await heard(client, "system.notice", code="not_running")
    await until(lambda: not other._sessions.following.waits_for_answers)
    await until_no_row()


async def test_an_owner_that_failed_to_open_its_only_session_is_there_for_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.conversations.stop()
    owner, other = await site.start_another(), await site.start_another()
    monkeypatch.setattr(reading, "open_session", fail_once(reading.open_session))
    # Else the owner may leave it to its follower as soon as it rests.
    monkeypatch.setattr(neighbours, "is_handed_over", lambda **standing: False)
    with pytest.raises(OperationalError):
        await owner._sessions.opening.open(site.session_id)
    client = await site.visit(other)
    assert other._sessions.following.get(site.session_id) is not None
    await site.say(other, client, "a")
    await heard(client, "agent.final_answer", message_id="a")
    assert owner._sessions.get(site.session_id) is not None


async def test_a_server_that_leaves_refuses_what_it_is_sent_then(site: Site) -> None:
    site.conversations.is_draining = True
    await site.conversations._sessions.leave()
    with pytest.raises(Refused, match="service_unavailable"):
        await site.say(site.conversations, site.socket, "a")


@pytest.mark.parametrize("error", [Refused("moved"), ValueError("unforeseen")])
async def test_what_is_passed_on_to_the_next_owner_is_done_or_explained(
    site: Site, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: Any = site.conversations._sessions
    tell, refused = sessions.tell, []

    async def refuse_once(*args: Any) -> None:
        if not refused:
            refused.append(error)
            raise error
        await tell(*args)

    monkeypatch.setattr(sessions, "tell", refuse_once)
    metadata = {"message_id": "a"}
    sessions.pass_on(
        site.socket,
        parsed("user.message", session_id=site.session_id, content="a", metadata=metadata),
    )
    if isinstance(error, Refused):
        await heard(site.socket, "agent.final_answer", message_id="a")
    else:
        await heard(site.socket, "system.error", code="internal_error", message_id="a")


async def test_all_that_rests_is_handed_over_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go, decide = False, neighbours.is_handed_over
    monkeypatch.setattr(
        neighbours, "is_handed_over", lambda **standing: may_go and decide(**standing)
    )
    calls, give_up = [], taking.give_up
    monkeypatch.setattr(taking, "give_up", lambda *args: calls.append(args) or give_up(*args))
    first, sessions = site.conversations, [await begin_session(site) for _ in range(10)]
    other = await site.start_another()
    for session_id in sessions:
        await site.visit(other, session_id)
    for socket in site.sockets:
        first.port.detach(socket)
    await until(lambda: set(sessions) <= first._neighbours._resources.relay.followers.keys())
    may_go = True
    await until(lambda: all(other._sessions.get(each) is not None for each in sessions))
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("principal", "addressed", "code"),
    [
        (Principal("ada", "ada"), None, "forbidden"),
        (Principal("", "", services=frozenset({"weather"})), None, "forbidden"),
        (None, "weather", "unknown_session"),
    ],
)
async def test_who_may_not_open_a_session_moves_it_nowhere(
    site: Site, principal: Principal | None, addressed: str | None, code: str
) -> None:
    owner = site.conversations
    owner.port.detach(site.socket)
    before = await owner_of(site.session_id)
    other = await site.start_another()
    client = RecordingSocket()
    client.principal, client.service = principal, addressed
    close = parsed("user.close_session", session_id=site.session_id)
    with pytest.raises(Refused) as refused:
        await other.port.attach(client, site.session_id, 0)
    assert refused.value.code == code
    with pytest.raises(Refused) as refused:
        await other.port.send(client, close)
    assert refused.value.code == code
    assert await owner_of(site.session_id) == before
    assert not client.attached
    assert owner._sessions.get(site.session_id) is not None
    assert other._sessions.following.get(site.session_id) is None


async def owner_of(session_id: str) -> tuple[str | None, int]:
    found: tuple[str | None, int] = await Session.objects.values_list("owner_id", "epoch").aget(
        pk=session_id
    )
    return found
