"""A message above a limit is refused with the limit's name, and nothing of it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any

import pytest

from agents.directory import Choice, Facts, Listed, SingleService
from agents.models import Occupancy
from agents.ownership import servers
from agents.ports import Refused
from agents.principals import Principal
from agents.runs.workers import Workers
from agents.sessions import conversations as module
from agents.sessions.conversations import Conversations
from tests.agents.logs import SERVICE
from tests.agents.recording_socket import RecordingSocket
from tests.agents.sessions.test_following import Site
from tests.agents.test_session_property import PATIENCE_S, parsed, stage

pytestmark = pytest.mark.django_db(transaction=True)

ADA, EVE = Principal("user:1", "ada"), Principal("user:2", "eve")


class Client:
    """A socket of somebody, with one conversation."""

    def __init__(self, at: Conversations, principal: Principal) -> None:
        self.at = at
        self.socket = RecordingSocket()
        self.socket.principal = principal
        self.session_id = ""

    async def begin(self) -> Client:
        await self.at.port.create(self.socket, parsed("user.create_session"))
        self.session_id = (await self.hear("agent.session_created"))["session_id"]
        return self

    async def say(self, message_id: str) -> None:
        metadata = {"message_id": message_id}
        await self.send("user.message", content=message_id, metadata=metadata)

    async def send(self, event: str, **fields: Any) -> None:
        await self.at.port.send(self.socket, parsed(event, session_id=self.session_id, **fields))

    async def hear(self, event: str, **metadata: Any) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            return await self.socket.hear(event, **metadata)

    async def accepted(self, message_id: str) -> None:
        await self.say(message_id)
        await self.hear("user.message", message_id=message_id)

    async def refused(self, message_id: str) -> Refused:
        with pytest.raises(Refused) as caught:
            await self.say(message_id)
        assert caught.value.message_id == message_id
        return caught.value


@pytest.fixture
async def site(settings: Any) -> AsyncIterator[Site]:
    settings.MYAGENT_ADOPT_S = 60.0
    with stage() as agents:
        site = Site(agents, SERVICE)
        await site.begin()
        yield site
        site.permits.open()
        for conversations in site.all_conversations:
            await conversations.stop()


async def test_a_refused_message_names_its_limit_and_may_be_sent_again(
    site: Site, settings: Any
) -> None:
    site.permits.open()
    settings.MYAGENT_MESSAGES_PER_MINUTE = 2
    ada, again = [await Client(site.conversations, ADA).begin() for _ in range(2)]
    await ada.accepted("a")
    await again.accepted("b")
    error = await ada.refused("c")
    assert (error.code, error.limit, error.detail) == ("rate_limited", "messages_per_minute", "2")
    assert error.retry_after_s is not None
    assert 1 <= error.retry_after_s <= 60
    # It was not counted among what is in the log, and one that is there is not counted again.
    await ada.say("a")
    echo = await ada.hear("user.message", message_id="a", duplicate=True)
    assert echo["content"] == "a"
    await (await Client(site.conversations, EVE).begin()).accepted("d")
    settings.MYAGENT_MESSAGES_PER_MINUTE = 0
    await ada.accepted("c")
    await ada.hear("agent.final_answer", message_id="c")


async def test_a_service_has_a_rate_of_its_own(site: Site, settings: Any) -> None:
    site.permits.open()
    settings.MYAGENT_SERVICE_MESSAGES_PER_MINUTE = 1
    ada = await Client(site.conversations, ADA).begin()
    eve = await Client(site.conversations, EVE).begin()
    await ada.accepted("a")
    assert (await eve.refused("b")).limit == "service_messages_per_minute"


async def test_only_so_many_conversations_of_one_principal_are_at_work_at_once(
    site: Site, settings: Any
) -> None:
    settings.MYAGENT_RUNS_AT_ONCE = 1
    first, second = [await Client(site.conversations, ADA).begin() for _ in range(2)]
    await first.accepted("a")
    error = await second.refused("b")
    assert (error.limit, error.detail) == ("runs_at_once", "1")
    assert error.retry_after_s
    # One that waits for its turn starts nothing further, and others are not affected.
    await first.accepted("c")
    await (await Client(site.conversations, EVE).begin()).accepted("d")
    site.permits.open()
    await first.hear("agent.final_answer", message_id="c")
    await second.accepted("b")
    await second.hear("agent.final_answer", message_id="b")


async def test_messages_of_the_same_moment_do_not_exceed_the_limit(
    site: Site, settings: Any
) -> None:
    settings.MYAGENT_RUNS_AT_ONCE = 2
    clients = [await Client(site.conversations, ADA).begin() for _ in range(6)]
    outcomes = await asyncio.gather(*(each.say("a") for each in clients), return_exceptions=True)
    assert sorted(str(each) for each in outcomes) == ["None"] * 2 + ["rate_limited"] * 4


async def test_what_is_at_work_at_another_server_counts(site: Site, settings: Any) -> None:
    settings.MYAGENT_RUNS_AT_ONCE = 1
    other = await site.start_another()
    here = await Client(site.conversations, ADA).begin()
    there = await Client(other, ADA).begin()
    await here.accepted("a")
    assert (await there.refused("b")).limit == "runs_at_once"
    site.permits.open()
    await here.hear("agent.final_answer", message_id="a")
    await there.accepted("b")


async def test_what_a_dead_server_left_counts_until_it_has_ended_and_no_longer(
    site: Site, settings: Any
) -> None:
    settings.MYAGENT_RUNS_AT_ONCE = 1
    dead, other = site.conversations, await site.start_another()
    here = await Client(dead, ADA).begin()
    there = await Client(other, ADA).begin()
    await here.accepted("a")
    await dead.database.run(servers.end, dead.lease.server_id)
    assert (await there.refused("b")).limit == "runs_at_once"
    # Its client comes to the other server, which goes on with the answer.
    successor = Client(other, ADA)
    successor.session_id = here.session_id
    await other.port.attach(successor.socket, here.session_id, 0)
    assert (await there.refused("b")).limit == "runs_at_once"
    site.permits.open()
    await successor.hear("agent.final_answer", message_id="a")
    await there.accepted("b")


async def test_a_refusal_at_the_owner_reaches_a_client_of_another_server(
    site: Site, settings: Any
) -> None:
    settings.MYAGENT_MESSAGES_PER_MINUTE = 1
    owner = await Client(site.conversations, ADA).begin()
    await owner.accepted("a")
    other = await site.start_another()
    away = Client(other, ADA)
    away.session_id = owner.session_id
    await other.port.attach(away.socket, owner.session_id, 0)
    await away.say("b")
    told = (await away.hear("system.error", message_id="b"))["metadata"]
    assert (told["code"], told["limit"]) == ("rate_limited", "messages_per_minute")
    assert told["retry_after_s"] >= 1


async def begin(at: Conversations) -> Client | Refused:
    try:
        return await Client(at, ADA).begin()
    except Refused as error:
        return error


async def begin_when_there_is_room(at: Conversations) -> None:
    async with asyncio.timeout(PATIENCE_S):
        # Servers publish what they let go; nobody is told.
        while isinstance(await begin(at), Refused):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
async def two(
    site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[Conversations, Conversations]:
    """Two servers of a service that takes two conversations at once, and has none yet."""
    site.conversations.port.detach(site.socket)
    monkeypatch.setattr(module, "PUBLISH_S", 0.01)
    settings.MYAGENT_MAX_SESSIONS = 2
    one, other = await site.start_another(), await site.start_another()
    return one, other


async def test_a_service_has_only_so_many_conversations_at_all_servers_together(
    two: tuple[Conversations, Conversations],
) -> None:
    one, other = two
    first, second = await begin(one), await begin(other)
    assert isinstance(first, Client)
    assert isinstance(second, Client)
    for at in two:
        refused = await begin(at)
        assert isinstance(refused, Refused)
        assert (refused.code, refused.limit) == ("service_unavailable", "max_sessions")
        assert refused.retry_after_s
    one.port.detach(first.socket)
    await begin_when_there_is_room(other)


async def test_servers_that_are_asked_at_the_same_moment_do_not_exceed_it(
    two: tuple[Conversations, Conversations],
) -> None:
    found = await asyncio.gather(*(begin(at) for at in two * 4))
    begun = [each for each in found if isinstance(each, Client)]
    assert 1 <= len(begun) <= 2


async def test_what_a_dead_server_held_does_not_count(
    two: tuple[Conversations, Conversations],
) -> None:
    one, other = two
    for _ in range(2):
        assert isinstance(await begin(one), Client)
    assert isinstance(await begin(other), Refused)
    await one.stop()
    await begin_when_there_is_room(other)


async def test_where_nothing_is_limited_nothing_is_written(site: Site) -> None:
    await Client(site.conversations, ADA).begin()
    await site.conversations._sessions.capacity.publish()
    assert not await Occupancy.objects.aexists()


class TwoServices(SingleService):
    """A rule chooses the first service that may be chosen; each takes one conversation."""

    def find(self, service: str) -> Listed | None:
        return Listed(service, max_sessions=1) if service in self.names() else None

    def choose(self, facts: Facts, *, without: Collection[str] = ()) -> Choice | None:
        left = [name for name in self.names() if name not in without]
        return Choice(left[0], affinity=left[0]) if left else None

    def names(self) -> list[str]:
        return ["first", "second"]


async def test_who_named_no_service_gets_another_one_if_the_chosen_one_turns_out_to_be_full(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MYAGENT_ADOPT_S = 60.0
    # What another server took is found out by the claim alone.
    monkeypatch.setattr(module, "PUBLISH_S", 3600.0)
    one, other = (Conversations(TwoServices("first"), Workers()) for _ in range(2))
    try:
        for at in (one, other):
            await at.start()
        assert isinstance(await begin(one), Client)
        found = await begin(other)
        assert isinstance(found, Client)
        (session,) = other._sessions
        assert (session.service, session._runs.affinity) == ("second", "second")
        refused = await begin(other)
        assert isinstance(refused, Refused)
        assert refused.limit == "max_sessions"
        socket = RecordingSocket()
        named = parsed("user.create_session", metadata={"service": "first"})
        with pytest.raises(Refused):
            await one.port.create(socket, named)
    finally:
        for at in (one, other):
            await at.stop()
