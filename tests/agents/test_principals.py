"""A conversation is open to who created it, and to who may see everything; nothing is taken over
for anybody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from agents.models import Session
from agents.ports import Refused
from agents.principals import Principal
from myagent.protocol import CreateSession, CreateSessionMetadata, UserMessage
from tests.agents.recording_socket import RecordingSocket
from tests.agents.test_session_property import Story, stage

pytestmark = pytest.mark.django_db(transaction=True)

ANNA, BEN = Principal("user:1", "Anna"), Principal("user:2", "Ben")
ADMIN = Principal("user:3", "Carla", sees_everything=True)
CREATE = CreateSession(event="user.create_session", metadata=CreateSessionMetadata())


@pytest.fixture
def story() -> Iterator[Story]:
    with stage() as worker:
        yield Story(worker, "tested")


def socket_of(principal: Principal | None) -> RecordingSocket:
    socket = RecordingSocket()
    socket.principal = principal
    return socket


async def begin(story: Story, principal: Principal | None) -> str:
    await story.begin()
    socket = socket_of(principal)
    await story.conversations.port.create(socket, CREATE)
    session_id: str = (await socket.hear("agent.session_created"))["session_id"]
    story.conversations.port.detach(socket)
    return session_id


async def test_a_session_keeps_who_created_it_and_opens_to_nobody_else(story: Story) -> None:
    session_id = await begin(story, ANNA)
    assert (await Session.objects.aget(pk=session_id)).principal == "user:1"
    for allowed in (ANNA, ADMIN, None):
        await story.conversations.port.attach(socket_of(allowed), session_id, 0)
    stranger = socket_of(BEN)
    with pytest.raises(Refused, match="forbidden"):
        await story.conversations.port.attach(stranger, session_id, 0)
    assert (stranger.attached, stranger.told) == ({}, [])
    await story.conversations.stop()


async def test_who_may_read_a_conversation_may_not_take_part_in_it(story: Story) -> None:
    session_id = await begin(story, ANNA)
    message = UserMessage(event="user.message", session_id=session_id, content="hi")
    for reader in (ADMIN, replace(BEN, acts_everywhere=True)):
        with pytest.raises(Refused, match="forbidden"):
            await story.conversations.port.send(socket_of(reader), message)
    for allowed in (ANNA, replace(ADMIN, acts_everywhere=True), None):
        socket = socket_of(allowed)
        await story.conversations.port.send(socket, message)
        await socket.hear("user.message")
    await story.conversations.stop()


async def test_nothing_is_taken_over_for_a_stranger(story: Story) -> None:
    session_id = await begin(story, ANNA)
    await story.conversations.stop()
    before = await Session.objects.aget(pk=session_id)
    await story.begin()
    with pytest.raises(Refused, match="forbidden"):
        await story.conversations.port.attach(socket_of(BEN), session_id, 0)
    untouched = await Session.objects.aget(pk=session_id)
    assert (untouched.owner_id, untouched.epoch) == (None, before.epoch)
    await story.conversations.port.attach(socket_of(ANNA), session_id, 0)
    await story.conversations.stop()


async def test_what_nobody_created_is_open_to_who_may_see_everything_alone(story: Story) -> None:
    session_id = await begin(story, None)
    await story.conversations.port.attach(socket_of(ADMIN), session_id, 0)
    with pytest.raises(Refused, match="forbidden"):
        await story.conversations.port.attach(socket_of(ANNA), session_id, 0)
    await story.conversations.stop()


def naming(service: str) -> CreateSession:
    return CREATE.model_copy(update={"metadata": CreateSessionMetadata(service=service)})


async def test_who_is_bound_to_services_has_sessions_of_those_alone(story: Story) -> None:
    session_id = await begin(story, ANNA)
    (service,) = story.conversations.directory.names()
    bound = replace(ANNA, services=frozenset({service}))
    elsewhere = replace(ANNA, services=frozenset({"another", "third"}))
    await story.conversations.port.attach(socket_of(bound), session_id, 0)
    for asked in (
        story.conversations.port.attach(socket_of(elsewhere), session_id, 0),
        story.conversations.port.create(socket_of(elsewhere), naming(service)),
    ):
        with pytest.raises(Refused, match="forbidden"):
            await asked
    await story.conversations.stop()


async def test_who_is_bound_to_one_service_means_that_one(story: Story) -> None:
    await story.begin()
    elsewhere = replace(ANNA, services=frozenset({"another"}))
    with pytest.raises(Refused, match="no_service"):
        await story.conversations.port.create(socket_of(elsewhere), CREATE)
    await story.conversations.stop()


ALL = frozenset({"a", "b"})


@pytest.mark.parametrize(
    ("later", "is_enough"),
    [
        (Principal("ann", "Ann", True, ALL), True),
        (Principal("ann", "Ann", True), True),
        (Principal("ann", "Ann", False, ALL), False),
        (Principal("ann", "Ann", True, frozenset({"a"})), False),
    ],
)
def test_whether_some_rights_were_lost_is_known(later: Principal, is_enough: bool) -> None:
    assert later.may_all_of(Principal("ann", "Ann", True, ALL)) is is_enough


def test_to_act_everywhere_is_a_right_that_can_be_lost() -> None:
    assert not ADMIN.may_all_of(replace(ADMIN, acts_everywhere=True))


def test_a_limit_where_none_was_is_a_lost_right() -> None:
    assert not Principal("ann", "Ann", services=ALL).may_all_of(Principal("ann", "Ann"))
