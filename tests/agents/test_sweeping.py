"""Sessions that nobody uses leave memory, and are free for every server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.db import OperationalError

from agents.directory import Listed
from agents.models import Session
from agents.ownership import taking
from tests.agents.test_session_property import Story, parsed, stage

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def story(settings: Any) -> AsyncIterator[Story]:
    """A server with sessions, all of them idle."""
    settings.MYAGENT_SESSION_TIMEOUT_S = 1_000_000
    settings.MYAGENT_SESSIONS_PER_CONNECTION = 0
    with stage() as agents:
        story = Story(agents, "tested")
        await story.begin()
        for _ in range(5):
            story.socket.told.clear()
            await story.conversations.port.create(story.socket, parsed("user.create_session"))
            await story.socket.hear("agent.session_created")
        story.conversations.port.detach(story.socket)
        settings.MYAGENT_SESSION_TIMEOUT_S = 0
        yield story
        await story.conversations.stop()


async def owned(story: Story) -> int:
    return await Session.objects.filter(owner_id=story.conversations.lease.server_id).acount()


async def test_many_are_given_up_in_one_statement(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, give_up = [], taking.give_up

    def count(*args: Any) -> None:
        calls.append(args)
        give_up(*args)

    monkeypatch.setattr(taking, "give_up", count)
    await story.conversations._sweep()
    assert (story.conversations.session_count, await owned(story), len(calls)) == (0, 0, 1)


async def test_a_session_that_has_ended_leaves_once_nobody_reads_it(
    story: Story, settings: Any
) -> None:
    settings.MYAGENT_SESSION_TIMEOUT_S = 1_000_000
    port, client = story.conversations.port, story.socket
    client.told.clear()
    await port.create(client, parsed("user.create_session"))
    session_id = (await client.hear("agent.session_created"))["session_id"]
    await port.send(client, parsed("user.close_session", session_id=session_id))
    await client.hear("agent.session_end")
    before = story.conversations.session_count
    await story.conversations._sweep()
    assert story.conversations.session_count == before, "its client may still ask"
    port.detach(client)
    await story.conversations._sweep()
    assert story.conversations.session_count == before - 1
    client.told.clear()
    await port.attach(client, session_id, 0)
    await client.hear("agent.session_end")


async def test_what_an_outage_kept_owned_is_freed_by_the_next_sweep(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_up = taking.give_up

    def be_away(*_: Any) -> None:
        raise OperationalError(2006, "server has gone away")

    monkeypatch.setattr(taking, "give_up", be_away)
    with pytest.raises(OperationalError):
        await story.conversations._sweep()
    monkeypatch.setattr(taking, "give_up", give_up)
    await story.conversations._sweep()
    assert (story.conversations.session_count, await owned(story)) == (0, 0)


@pytest.mark.both_databases
async def test_one_that_was_taken_back_meanwhile_stays(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_up = taking.give_up

    def take_back(epochs: Any, server_id: str) -> None:
        taking.take(story.session_id, ["tested"], server_id)
        give_up(epochs, server_id)

    monkeypatch.setattr(taking, "give_up", take_back)
    await story.conversations._sweep()
    assert [session.pk async for session in Session.objects.exclude(owner=None)] == [
        story.session_id
    ]


@pytest.mark.parametrize(("own_s", "site_s", "left"), [(0.0, 1e6, 0), (1e6, 0.0, 6), (None, 0, 0)])
async def test_a_service_says_itself_when_its_idle_sessions_leave(
    story: Story, settings: Any, own_s: float | None, site_s: float, left: int
) -> None:
    settings.MYAGENT_SESSION_TIMEOUT_S = site_s
    story.conversations.directory._listed = Listed(  # type: ignore[attr-defined]
        "tested", session_timeout_s=own_s
    )
    await story.conversations._sweep()
    assert story.conversations.session_count == left


@pytest.mark.parametrize(("own_s", "sweep_s"), [(2.0, 1.0), (None, 30.0), (1e9, 30.0), (0.01, 0.1)])
async def test_the_shortest_time_out_says_how_often_is_looked(
    story: Story, settings: Any, own_s: float | None, sweep_s: float
) -> None:
    settings.MYAGENT_SESSION_TIMEOUT_S = 1800
    story.conversations.directory._listed = Listed(  # type: ignore[attr-defined]
        "tested", session_timeout_s=own_s
    )
    assert story.conversations._sessions.sweep_s == sweep_s
