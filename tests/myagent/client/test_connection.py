"""What the client makes of what servers do: each socket here is played by a script."""

from __future__ import annotations

import asyncio

import pytest

from myagent.client import (
    ClientError,
    ConnectionChanged,
    ConnectionFailed,
    FinalAnswer,
    GaveUp,
    InvalidRequest,
    MessageAccepted,
    NoSuchService,
    NotAllowed,
    PartialAnswer,
    Refused,
    ServerEvent,
    SessionResumed,
    connect,
    connection,
    outbox,
)
from myagent.client.link import Link
from tests.deaf_peer import deaf_peer

from .scripted_server import SESSION, Peer, ScriptedServer


@pytest.fixture(autouse=True)
def _without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (connection, outbox):
        monkeypatch.setattr(module, "FIRST_DELAY_S", 0.001)
        monkeypatch.setattr(module, "LONGEST_DELAY_S", 0.002)


async def answering(peer: Peer) -> None:
    await peer.create()
    await peer.answer(3, await peer.echo(2), "yes")
    await peer.until_left()


# Ends of sockets.


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (4001, NotAllowed),
        (4003, NotAllowed),
        (4004, NoSuchService),
        (4400, ConnectionFailed),
        (1008, ConnectionFailed),
    ],
)
async def test_some_close_codes_are_final_and_the_reason_is_the_server_s(
    code: int, kind: type[ClientError]
) -> None:
    async def refusing(peer: Peer) -> None:
        await peer.refuse("forbidden", "This page may not connect.")
        await peer.socket.close(code)

    async with ScriptedServer(refusing) as server:
        with pytest.raises(kind, match="This page may not connect"):
            async with connect(server.url):
                pass
    assert server.sockets == 1


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 4008, 4012, 4013, 4029, 4999])
async def test_other_close_codes_are_a_reason_to_come_back(code: int) -> None:
    async def leaving(peer: Peer) -> None:
        await peer.create()
        await peer.echo(2)
        await peer.refuse("service_unavailable", "Reconnect in a moment.")
        await peer.socket.close(code)

    async def back(peer: Peer) -> None:
        assert await peer.resume() == 2
        await peer.answer(3, {"run_id": "r", "message_id": "m"}, "yes")
        await peer.caught_up()
        await peer.until_left()

    async with ScriptedServer(leaving, back) as server, connect(server.url) as client:
        end = await client.ask("well?", message_id="m").end()
        assert (end.seq, end.content, client.last_seq) == (3, "yes", 3)


async def test_why_the_service_closed_the_connection_is_told() -> None:
    async def leaving(peer: Peer) -> None:
        await peer.create()
        await peer.refuse("service_unavailable", "It can't be reached.")
        await peer.socket.close(4013)

    async def back(peer: Peer) -> None:
        await peer.resume()
        await peer.caught_up()
        await peer.until_left()

    async with ScriptedServer(leaving, back) as server, connect(server.url) as client:
        async for event in client.events():
            if isinstance(event, ConnectionChanged) and event.reason:
                break
    assert (event.reason, event.code, event.close_code) == (
        *("It can't be reached.", "service_unavailable"),
        4013,
    )


async def test_a_server_that_is_about_to_leave_does_not_end_the_first_attempt() -> None:
    async def draining(peer: Peer) -> None:
        await peer.say("system.connected")
        await peer.hear("user.create_session")
        await peer.refuse("service_unavailable", retryable=True)

    async with ScriptedServer(draining, answering) as server, connect(server.url) as client:
        assert (await client.ask("well?").end()).content == "yes"


async def test_a_session_that_may_not_be_opened_is_refused() -> None:
    async def refusing(peer: Peer) -> None:
        await peer.say("system.connected")
        await peer.hear("user.reconnect")
        await peer.refuse("forbidden", "It is somebody else's.", session_id=SESSION)
        await peer.until_left()

    async with ScriptedServer(refusing) as server:
        with pytest.raises(Refused, match="somebody else's") as caught:
            async with connect(server.url, session_id=SESSION):
                pass
    assert caught.value.code == "forbidden"


async def test_a_server_that_never_opens_a_session_is_given_up_on() -> None:
    async def closing(peer: Peer) -> None:
        await peer.say("system.connected")

    async with ScriptedServer(*[closing] * 1000) as server:
        with pytest.raises(GaveUp):
            async with connect(server.url, give_up_after_s=0.05):
                pass


async def test_a_server_that_says_nothing_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "OPENING_S", 0.01)

    async def silent(peer: Peer) -> None:
        await peer.until_left()

    async with ScriptedServer(*[silent] * 1000) as server:
        with pytest.raises(GaveUp):
            async with connect(server.url, give_up_after_s=0.05):
                pass


async def test_a_token_goes_as_a_bearer_token() -> None:
    seen: list[str | None] = []

    async def looking(peer: Peer) -> None:
        assert peer.socket.request is not None
        seen.append(peer.socket.request.headers.get("Authorization"))
        await peer.create()
        await peer.until_left()

    async with ScriptedServer(looking) as server, connect(server.url, token="abc"):
        pass
    assert seen == ["Bearer abc"]


# Places in the log.


async def test_an_event_that_is_missing_is_fetched() -> None:
    async def skipping(peer: Peer) -> None:
        await peer.create()
        metadata = await peer.echo(2)
        await peer.answer(4, metadata, "too soon")
        await peer.until_left()

    async def whole(peer: Peer) -> None:
        assert await peer.resume() == 2
        await peer.say("agent.thinking", 3, metadata={"step": 1, "status": "completed"})
        await peer.answer(4, {"run_id": "r", "message_id": "m"}, "now")
        await peer.until_left()

    async with ScriptedServer(skipping, whole) as server, connect(server.url) as client:
        events = [event async for event in client.ask("well?", message_id="m")]
    seqs = [event.seq for event in events if isinstance(event, ServerEvent)]
    assert [seq for seq in seqs if seq] == [2, 3, 4]
    assert isinstance(events[-1], FinalAnswer) and events[-1].content == "now"


async def test_an_event_that_comes_again_is_not_given_twice() -> None:
    async def repeating(peer: Peer) -> None:
        await peer.create()
        metadata = await peer.echo(2)
        for seq in (2, 1, 2):
            await peer.say("user.message", seq, content="?", metadata=metadata)
        await peer.answer(3, metadata, "yes")
        await peer.until_left()

    async with ScriptedServer(repeating) as server, connect(server.url) as client:
        events = [event async for event in client.ask("well?")]
    assert [type(event) for event in events] == [MessageAccepted, FinalAnswer]


async def test_a_log_that_was_pruned_is_taken_from_its_oldest_event() -> None:
    async def pruned(peer: Peer) -> None:
        assert await peer.resume(resync=True) == 5
        for seq in (40, 41):
            await peer.say("agent.thinking", seq, metadata={"step": 1})
        await peer.caught_up()
        await peer.answer(43, await peer.echo(42), "yes")
        await peer.until_left()

    async with (
        ScriptedServer(pruned) as server,
        connect(server.url, session_id=SESSION, last_seq=5) as client,
    ):
        stream = client.events()
        assert (await client.ask("well?").end()).content == "yes"
        seen = [await anext(stream) for _ in range(8)]
    assert any(isinstance(event, SessionResumed) and event.resync for event in seen)
    assert [event.seq for event in seen if getattr(event, "seq", None)] == [40, 41, 42, 43]


async def test_what_the_client_does_not_know_is_passed_on() -> None:
    async def novel(peer: Peer) -> None:
        await peer.create()
        metadata = await peer.echo(2)
        await peer.say("agent.mood", 3, content={"happy": 1}, metadata=metadata | {"new": True})
        await peer.answer(4, metadata | {"colour": "red"}, "yes")
        await peer.until_left()

    async with ScriptedServer(novel) as server, connect(server.url) as client:
        events = [event async for event in client.ask("well?")]
    mood, end = events[1:]
    assert isinstance(mood, ServerEvent) and type(mood) is ServerEvent
    assert (mood.event, mood.content, mood.metadata["new"]) == ("agent.mood", {"happy": 1}, True)
    assert isinstance(end, FinalAnswer) and end.metadata["colour"] == "red"


@pytest.mark.parametrize("frame", ["{", "[]", "1", '{"event": 1}', '{"event":"x","seq":"1"}'])
async def test_a_frame_that_can_t_be_read_costs_the_socket_and_nothing_else(frame: str) -> None:
    async def odd(peer: Peer) -> None:
        await peer.create()
        await peer.echo(2)
        await peer.socket.send(frame)
        await peer.until_left()

    async def back(peer: Peer) -> None:
        await peer.resume()
        await peer.answer(3, {"run_id": "r", "message_id": "m"}, "yes")
        await peer.until_left()

    async with ScriptedServer(odd, back) as server, connect(server.url) as client:
        assert (await client.ask("well?", message_id="m").end()).content == "yes"


# Text while it is written.


async def test_text_follows_the_rule_of_offsets_through_a_reconnect() -> None:
    def partial(offset: int, step: int = 1) -> dict[str, object]:
        return {"run_id": "r", "step": step, "offset": offset}

    async def first(peer: Peer) -> None:
        await peer.create()
        await peer.echo(2)
        await peer.say("agent.partial_answer", content="你好", metadata=partial(0))
        await peer.say("agent.partial_answer", content=" 🎯 w", metadata=partial(2))

    async def second(peer: Peer) -> None:
        await peer.resume(status="running")
        await peer.caught_up()
        await peer.say("agent.partial_answer", content="你好 🎯 wor", metadata=partial(0))
        await peer.say("agent.partial_answer", content="ld", metadata=partial(8))
        await peer.say("agent.thinking", metadata={"step": 1, "status": "started"})
        await peer.say("agent.partial_answer", content="Bye", metadata=partial(0))
        await peer.say("agent.partial_answer", content="!", metadata=partial(0, step=2))
        await peer.answer(3, {"run_id": "r", "message_id": "m"}, "!")
        await peer.until_left()

    async with ScriptedServer(first, second) as server, connect(server.url) as client:
        events = [event async for event in client.ask("well?", message_id="m")]
    texts = [event.text for event in events if isinstance(event, PartialAnswer)]
    assert texts == ["你好", "你好 🎯 w", "你好 🎯 wor", "你好 🎯 world", "Bye", "!"]


# What has not been acknowledged.


async def test_a_message_without_an_echo_is_sent_again_with_the_same_id() -> None:
    sent = []

    async def deaf(peer: Peer) -> None:
        await peer.create()
        sent.append(await peer.hear("user.message"))

    async def back(peer: Peer) -> None:
        assert await peer.resume() == 1
        await peer.caught_up()
        metadata = await peer.echo(2)
        sent.extend(peer.received[-1:])
        await peer.answer(3, metadata, "yes")
        await peer.until_left()

    async with ScriptedServer(deaf, back) as server, connect(server.url) as client:
        assert (await client.ask("well?").end()).content == "yes"
    assert sent[0] == sent[1]


async def test_a_message_whose_echo_is_replayed_is_not_sent_again() -> None:
    async def quiet(peer: Peer) -> None:
        await peer.create()
        await peer.hear("user.message")

    async def back(peer: Peer) -> None:
        await peer.resume()
        metadata = {"run_id": "r", "message_id": "m", "position": 0}
        await peer.say("user.message", 2, content="well?", metadata=metadata)
        await peer.caught_up()
        await peer.answer(3, metadata, "yes")
        await peer.hear("user.close_session")
        await peer.say("agent.session_end", 4, metadata={"reason": "closed"})

    async with ScriptedServer(quiet, back) as server, connect(server.url) as client:
        assert (await client.ask("well?", message_id="m").end()).content == "yes"
        await client.close_session()


async def test_a_duplicate_settles_what_was_sent() -> None:
    async def knowing(peer: Peer) -> None:
        await peer.create()
        message = await peer.hear("user.message")
        metadata = {"run_id": "r", "message_id": "m", "duplicate": True, "original_seq": 1}
        await peer.say("user.message", content=message["content"], metadata=metadata)
        await peer.until_left()

    async with ScriptedServer(knowing) as server, connect(server.url) as client:
        accepted = await client.send("well?", message_id="m")
    assert accepted.duplicate and accepted.run_id == "r" and accepted.seq is None


@pytest.mark.parametrize("code", ["rate_limited", "storage_unavailable", "service_unavailable"])
async def test_what_is_refused_for_the_moment_is_sent_again(code: str) -> None:
    async def busy(peer: Peer) -> None:
        await peer.create()
        for _ in range(2):
            message = await peer.hear("user.message")
            id_ = message["metadata"]["message_id"]
            await peer.refuse(code, session_id=SESSION, message_id=id_, retryable=True)
        await peer.answer(3, await peer.echo(2), "yes")
        await peer.until_left()

    async with ScriptedServer(busy) as server, connect(server.url) as client:
        assert (await client.ask("well?").end()).content == "yes"


async def test_responses_go_one_at_a_time_so_that_a_refusal_is_of_the_right_one() -> None:
    async def asking(peer: Peer) -> None:
        await peer.create()
        first = await peer.hear("user.response")
        await peer.refuse("not_waiting", session_id=SESSION)
        second = await peer.hear("user.response")
        assert (first["step_id"], second["step_id"]) == ("a", "b")
        await peer.say("user.response", 2, step_id="b", content=second["content"])
        await peer.until_left()

    async with ScriptedServer(asking) as server, connect(server.url) as client:
        results = await asyncio.gather(
            client.respond("a", True), client.respond("b", True), return_exceptions=True
        )
    assert isinstance(results[0], Refused)
    assert not isinstance(results[1], BaseException) and results[1].step_id == "b"


async def test_edited_arguments_keep_every_digit_and_others_have_a_sentence() -> None:
    async def asking(peer: Peer) -> None:
        await peer.create()
        heard = await peer.hear("user.response")
        await peer.say("user.response", 2, step_id="a", content=heard["content"])
        await peer.until_left()

    async with ScriptedServer(asking) as server, connect(server.url) as client:
        for args in {"n": {1}}, {"n": {1: 2**70}}:
            with pytest.raises(InvalidRequest, match="sent as JSON"):
                await client.respond("a", True, args=args)
        logged = await client.respond("a", True, args={"n": 2**70})
    assert logged.content["args"] == {"n": 2**70}


async def test_a_cancel_that_was_taken_before_the_connection_was_lost_has_stopped_its_run() -> None:
    async def cut_off(peer: Peer) -> None:
        await peer.create()
        await peer.echo(2)
        await peer.hear("user.cancel")
        peer.socket.transport.abort()

    async def replaying(peer: Peer) -> None:
        await peer.resume()
        run = {"run_id": "r", "message_id": "m"}
        await peer.say("user.cancel", 3, content=None, metadata={"run_id": "r"})
        await peer.say("agent.interrupted", 4, content="", metadata=run | {"effects": []})
        await peer.caught_up()
        await peer.hear("user.cancel")
        await peer.say("system.notice", content="", metadata={"code": "not_running"})
        await peer.until_left()

    async with ScriptedServer(cut_off, replaying) as server, connect(server.url) as client:
        await client.send("hello", message_id="m")
        assert await client.cancel(run_id="r")


async def test_a_cancel_that_is_sent_again_names_its_run() -> None:
    cancels = []

    async def first(peer: Peer) -> None:
        await peer.create()
        await peer.echo(2)
        cancels.append(await peer.hear("user.cancel"))

    async def second(peer: Peer) -> None:
        await peer.resume(status="running")
        await peer.caught_up()
        cancels.append(await peer.hear("user.cancel"))
        await peer.say("user.cancel", 3, content=None, metadata={"run_id": "r"})
        await peer.until_left()

    async with ScriptedServer(first, second) as server, connect(server.url) as client:
        await client.send("well?")
        assert await client.cancel()
    assert [frame["metadata"] for frame in cancels] == [{"run_id": "r"}] * 2


# Bounds.


async def test_a_verb_is_answered_though_its_caller_reads_nothing_meanwhile() -> None:
    async def flooding(peer: Peer) -> None:
        await peer.create()
        await peer.hear("user.message")
        for seq in range(2, 1002):
            await peer.say("agent.mood", seq)
        metadata = {"message_id": "m", "run_id": "r"}
        await peer.say("user.message", 1002, content="well?", metadata=metadata)
        await peer.until_left()

    async with ScriptedServer(flooding) as server, connect(server.url) as client:
        stream = client.events()
        accepted = await client.send("well?", message_id="m")
        assert accepted.seq == 1002
        assert stream.waiting_count > 1000


async def test_a_stream_that_is_dropped_holds_up_nobody() -> None:
    async def talkative(peer: Peer) -> None:
        await peer.create()
        metadata = await peer.echo(2)
        for seq in range(3, 1003):
            await peer.say("agent.mood", seq)
        await peer.answer(1003, metadata, "yes")
        await peer.until_left()

    async with ScriptedServer(talkative) as server, connect(server.url) as client:
        stream = client.events()
        answer = client.ask("well?")
        await anext(answer)
        del stream
        assert (await answer.end()).content == "yes"


async def test_who_is_cancelled_while_it_says_goodbye_leaves_no_socket_open() -> None:
    async with deaf_peer() as peer:
        link = await Link.dial(peer.url, None)
        goodbye = asyncio.create_task(link.close())
        await asyncio.sleep(0)
        goodbye.cancel()
        with pytest.raises(asyncio.CancelledError):
            await goodbye
        async with asyncio.timeout(10):
            await peer.is_left.wait()
