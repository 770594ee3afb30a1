"""The Python client against real runners, through a network that cuts connections."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
from collections.abc import Iterator

import pytest

from myagent.client import (
    AnswerLost,
    Client,
    ClientClosed,
    ConfirmationAsked,
    ConnectionChanged,
    ConnectionFailed,
    ConnectionState,
    Event,
    EventStream,
    FinalAnswer,
    GaveUp,
    Interrupted,
    InvalidRequest,
    MessageAccepted,
    NoSuchService,
    NotAllowed,
    PartialAnswer,
    Refused,
    ReplayComplete,
    ResponseLogged,
    RunEnded,
    RunFailed,
    ServerEvent,
    SessionCreated,
    SessionEnded,
    ThinkingCompleted,
    ToolCalled,
    ToolFinished,
    UnknownSession,
    connect,
    streams,
)
from tests.cutting_proxy import CuttingProxy
from tests.fake_model_control import FakeModelControl
from tests.ports import free_port
from tests.recording import NOBODYS, log_of
from tests.runners import ROOT, Runner

from .conftest import Serve

PATIENCE_S = 30.0
OFFLINE = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", "OPENAI_MODEL": ""}
ORDER = '[[tool order {"item": "tea", "amount": 2}]]'


@pytest.fixture(scope="module")
def runner(serve_module: Serve) -> Iterator[Runner]:
    with serve_module("tools.py") as runner:
        yield runner


def durable(events: list[Event]) -> list[ServerEvent]:
    return [each for each in events if isinstance(each, ServerEvent) and each.seq is not None]


def seqs(events: list[Event]) -> list[int | None]:
    return [event.seq for event in durable(events)]


async def until(stream: EventStream, kind: type[Event], into: list[Event] | None = None) -> Event:
    """The next event of a kind; all that came before it is added to `into`."""
    async with asyncio.timeout(PATIENCE_S):
        async for event in stream:
            if into is not None:
                into.append(event)
            if isinstance(event, kind):
                return event
    raise AssertionError(f"The stream ended without {kind}.")


async def answer_to(client: Client, text: str) -> RunEnded:
    async with asyncio.timeout(PATIENCE_S):
        return await client.ask(text).end()


# A conversation.


async def test_the_events_of_a_message_come_up_to_its_end_and_no_further(runner: Runner) -> None:
    async with connect(runner.url) as client:
        events = [event async for event in client.ask('[[tool add {"a": 1, "b": 2}]] sum 和')]
        log = await log_of(runner.url, client.session_id)
    assert [type(event) for event in durable(events)] == [
        MessageAccepted, ThinkingCompleted, ToolCalled, ToolFinished, ThinkingCompleted,
        FinalAnswer,
    ]  # fmt: skip
    assert seqs(events) == [frame["seq"] for frame in log[1:]]
    assert len({event.run_id for event in durable(events)}) == 1
    texts = [event.text for event in events if isinstance(event, PartialAnswer)]
    assert texts[-1] == durable(events)[-1].content == "Answer to: sum 和 (results: 3)"


async def test_a_stream_has_everything_from_the_session_s_first_event_to_its_last(
    runner: Runner,
) -> None:
    async with connect(runner.url) as client:
        stream = client.events()
        accepted = await client.send("hello")
        seen: list[Event] = []
        end = await until(stream, FinalAnswer, seen)
        assert isinstance(end, FinalAnswer) and end.run_id == accepted.run_id
        await client.close_session()
        seen += [event async for event in stream]
    assert isinstance(durable(seen)[0], SessionCreated)
    assert isinstance(durable(seen)[-1], SessionEnded)
    assert seqs(seen) == list(range(1, len(durable(seen)) + 1))
    assert client.state is ConnectionState.CLOSED


async def test_asking_two_things_at_once_gives_each_its_own_events(
    runner: Runner, model: FakeModelControl, nonce: str
) -> None:
    async with connect(runner.url) as client:
        first = client.ask(f"[[hold {nonce}]] one")
        await until(first, MessageAccepted)
        await model.held(nonce)
        second = client.ask('[[tool add {"a": 1, "b": 1}]] two')
        accepted = await until(second, MessageAccepted)
        assert isinstance(accepted, MessageAccepted) and accepted.position == 1
        await model.release(nonce)
        ends = await asyncio.gather(first.end(), until(second, ToolFinished))
        assert ends[0].content == "Answer to: one"
        assert (await second.end()).content == "Answer to: two (results: 2)"


async def test_a_confirmation_is_answered_from_within_the_loop(runner: Runner) -> None:
    async with connect(runner.url) as client:
        async for event in client.ask(f"{ORDER} please"):
            if isinstance(event, ConfirmationAsked):
                assert event.parameters is not None
                assert event.parameters["required"] == ["item"]
                with pytest.raises(Refused) as caught:
                    await client.respond(event.step_id, True, {"amount": 1})
                assert caught.value.code == "invalid_event"
                logged = await client.respond(event.step_id, True, {"item": "咖啡", "amount": 1})
                assert isinstance(logged, ResponseLogged) and logged.is_approved
            if isinstance(event, ToolFinished):
                assert event.content == "ordered 1 × 咖啡"
        with pytest.raises(Refused) as caught:
            await client.respond("call_nothing", True)
        assert caught.value.code == "not_waiting"


async def test_a_second_response_learns_what_counts(runner: Runner) -> None:
    async with connect(runner.url) as one:
        answer = one.ask(f"{ORDER} please")
        question = await until(answer, ConfirmationAsked)
        assert isinstance(question, ConfirmationAsked)
        async with connect(runner.url, session_id=one.session_id) as other:
            await until(other.events(), ReplayComplete)
            await one.respond(question.step_id, False, feedback="too much")
            logged = await other.respond(question.step_id, True)
            assert not logged.is_approved
        assert isinstance(await answer.end(), FinalAnswer)


async def test_an_answer_is_rated_once_through_a_network_that_cuts(runner: Runner) -> None:
    async with CuttingProxy(runner.port) as proxy, connect(proxy.url) as client:
        end = await client.ask("Hello", message_id="m").end()
        rated = await client.rate("m", 1, " fine ")
        assert (rated.score, rated.content, rated.run_id) == (1, "fine", end.run_id)
        proxy.cut()
        assert (await client.rate("m", 1, "fine")).original_seq == rated.seq
        assert (await client.rate("m", -1)).content is None
        assert (await client.rate("m", None, "never mind")).score is None
        with pytest.raises(Refused, match="no such message") as refused:
            await client.rate("other", 1)
        assert refused.value.code == "unknown_message"
        for score, comment in ((2, None), (1, "x" * 2_001)):
            with pytest.raises(InvalidRequest):
                await client.rate("m", score, comment)
    log = await log_of(runner.url, rated.session_id)
    given = [each["metadata"]["score"] for each in log if each["event"] == "user.feedback"]
    assert given == [1, -1, None]


async def test_cancel_stops_the_answer_and_says_when_there_is_none(
    runner: Runner, model: FakeModelControl, nonce: str
) -> None:
    async with connect(runner.url) as client:
        answer = client.ask(f"[[hold {nonce}]] held")
        await model.held(nonce)
        assert await client.cancel(message_id=answer.message_id)
        assert isinstance(await answer.end(), Interrupted)
        assert not await client.cancel()


async def test_two_clients_on_one_session_see_the_same(runner: Runner) -> None:
    async with (
        connect(runner.url) as one,
        connect(runner.url, session_id=one.session_id) as other,
    ):
        streams = [one.events(), other.events()]
        await until(streams[1], ReplayComplete)
        await one.send("from one")
        await other.send("from the other")
        seen: list[list[Event]] = [[], []]
        for stream, into in zip(streams, seen, strict=True):
            await until(stream, FinalAnswer, into)
            await until(stream, FinalAnswer, into)
        assert durable(seen[0])[-5:] == durable(seen[1])[-5:]


async def test_a_slow_reader_holds_up_the_socket_and_misses_nothing(runner: Runner) -> None:
    async with connect(runner.url) as client:
        for n in range(100):
            await answer_to(client, f"turn {n}")
        async with connect(runner.url, session_id=client.session_id) as late:
            stream = late.events()
            late_answer = late.ask("the last")
            seen: list[Event] = []
            while len(durable(seen)) < 304:
                assert stream.waiting_count <= streams.LIMIT
                seen.append(await anext(stream))
            assert (await late_answer.end()).content == "Answer to: the last"
    assert seqs(seen) == list(range(1, 305))


# What the network does.


async def test_fifty_disconnects_in_a_hundred_turns_lose_and_repeat_nothing(
    runner: Runner,
) -> None:
    chance = random.Random(20261121)
    cuts = (chance.randint(1, 5000) for _ in itertools.count())
    seen: list[Event] = []
    async with CuttingProxy(runner.port, cuts) as proxy, connect(proxy.url) as client:
        stream = client.events()

        async def watch() -> None:
            ends = 0
            while ends < 100:
                seen.append(await anext(stream))
                ends += isinstance(seen[-1], FinalAnswer)

        watcher = asyncio.create_task(watch())
        own: list[Event] = []
        for n in range(100):
            text = f'turn {n} 回合 [[tool add {{"a": {n}, "b": 1}}]]' if n % 5 == 0 else f"turn {n}"
            partial = ""
            async for event in client.ask(text):
                own.append(event)
                if isinstance(event, PartialAnswer):
                    partial = event.text
            assert isinstance(event, FinalAnswer)
            expected = f"turn {n} 回合 (results: {n + 1})" if n % 5 == 0 else f"turn {n}"
            assert event.content == f"Answer to: {expected}"
            assert event.content.startswith(partial), "what was shown belongs to the answer"
        async with asyncio.timeout(PATIENCE_S):
            await watcher
        assert proxy.cut_count >= 50
    log = await log_of(runner.url, client.session_id)
    expected_seqs = [frame["seq"] for frame in log]
    assert expected_seqs == list(range(1, len(log) + 1))
    assert seqs(own) == expected_seqs[1:], "each answer had all of its events, once, in order"
    assert seqs(seen) == expected_seqs
    accepted = [frame["content"] for frame in log if frame["event"] == "user.message"]
    assert len(accepted) == 100, "no message ran twice"


async def test_a_runner_that_is_killed_in_mid_answer_and_comes_back_finishes_it(
    serve: Serve, model: FakeModelControl, nonce: str
) -> None:
    first = serve("tools.py")
    async with connect(first.url, client_info={"test": nonce}) as client:
        answer = client.ask(f"[[hold {nonce} after=4]] 等一等 {nonce}")
        events: list[Event] = []
        await until(answer, PartialAnswer, events)
        await model.held(nonce)
        await asyncio.to_thread(first.kill)
        await until(answer, ConnectionChanged, events)
        await model.release(nonce)
        await asyncio.to_thread(serve, "tools.py", port=first.port)
        async with asyncio.timeout(PATIENCE_S):
            events += [event async for event in answer]
        end = events[-1]
        assert isinstance(end, FinalAnswer)
        assert end.content == f"Answer to: 等一等 {nonce}"
        assert seqs(events) == list(range(2, 2 + len(durable(events))))
        states = [event.state for event in events if isinstance(event, ConnectionChanged)]
        assert states[0] is ConnectionState.RECONNECTING
        assert states[-1] is ConnectionState.CONNECTED
        assert (await answer_to(client, "and on")).content == "Answer to: and on"


async def test_what_was_asked_while_the_service_was_away_is_done_once_it_is_back(
    runner: Runner,
) -> None:
    async with CuttingProxy(runner.port) as proxy, connect(proxy.url) as client:
        stream = client.events()
        proxy.is_refusing = True
        proxy.cut()
        change = await until(stream, ConnectionChanged)
        while isinstance(change, ConnectionChanged) and change.state is ConnectionState.CONNECTED:
            change = await until(stream, ConnectionChanged)
        asked = [client.ask(f"{n}") for n in range(3)]
        proxy.is_refusing = False
        ends = [await each.end() for each in asked]
    assert [end.content for end in ends] == [f"Answer to: {n}" for n in range(3)]


async def test_a_program_that_starts_again_asks_again_with_the_same_id_and_gets_the_answer(
    runner: Runner, nonce: str
) -> None:
    async with connect(runner.url) as client:
        end = await client.ask("once", message_id=nonce).end()
        last_seq = client.last_seq
    async with connect(runner.url, session_id=client.session_id) as again:
        repeated = await again.ask("once", message_id=nonce).end()
        assert repeated == end
    async with connect(runner.url, session_id=client.session_id, last_seq=last_seq) as too_late:
        with pytest.raises(AnswerLost):
            await too_late.ask("once", message_id=nonce).end()
        accepted = await too_late.send("once", message_id=nonce)
        assert accepted.duplicate
        assert (await too_late.ask("more").end()).content == "Answer to: more"


async def test_a_place_beyond_the_log_is_replayed_from_its_start(runner: Runner) -> None:
    async with connect(runner.url) as client:
        await client.ask("one").end()
    async with connect(runner.url, session_id=client.session_id, last_seq=1000) as again:
        seen: list[Event] = []
        await until(again.events(), ReplayComplete, seen)
        assert seqs(seen) == list(range(1, client.last_seq + 1))


async def test_it_gives_up_in_the_end_and_says_so_to_all(runner: Runner) -> None:
    async with (
        CuttingProxy(runner.port) as proxy,
        connect(proxy.url, give_up_after_s=0.5) as client,
    ):
        stream = client.events()
        proxy.is_refusing = True
        proxy.cut()
        answer = client.ask("into the dark")
        with pytest.raises(GaveUp, match=r"Gave up after 0\.5 seconds"):
            await client.send("into the dark as well")
        with pytest.raises(GaveUp):
            await answer.end()
        with pytest.raises(GaveUp):
            async for _ in stream:
                pass
        with pytest.raises(GaveUp):
            client.ask("anybody?")
        assert client.state is ConnectionState.CLOSED


# What can't work says so.


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_where_nothing_listens_the_sentence_says_so(host: str) -> None:
    with pytest.raises(ConnectionFailed, match="can't be reached: nothing listens there"):
        async with connect(f"ws://{host}:{free_port()}/"):
            pass


@pytest.mark.parametrize(
    "url",
    [
        *("localhost:8080", "http://localhost/", "ws://", "nonsense", ""),
        *("ws://localhost:99999/", "ws://localhost:x/", "ws://[::1/"),
    ],
)
async def test_a_wrong_address_is_said_to_be_one(url: str) -> None:
    with pytest.raises(InvalidRequest, match="address"):
        async with connect(url):
            pass


async def test_what_is_no_websocket_service_is_said_to_be_none(model: FakeModelControl) -> None:
    with pytest.raises(ConnectionFailed):
        async with connect(model.base_url.replace("http", "ws")):
            pass


async def test_a_path_without_a_service_is_final(runner: Runner) -> None:
    with pytest.raises(NoSuchService):
        async with connect(f"{runner.url}services/nobody/"):
            pass


async def test_a_client_that_a_proxy_turns_away_is_not_allowed() -> None:
    refusing = await asyncio.start_server(_forbid, "127.0.0.1", 0)
    async with refusing:
        port = refusing.sockets[0].getsockname()[1]
        with pytest.raises(NotAllowed):
            async with connect(f"ws://127.0.0.1:{port}/"):
                pass


async def _forbid(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    writer.close()


@pytest.mark.parametrize("session_id", [NOBODYS, "not a session"])
async def test_a_session_that_is_not_there_is_final(runner: Runner, session_id: str) -> None:
    with pytest.raises(UnknownSession):
        async with connect(runner.url, session_id=session_id):
            pass


@pytest.mark.parametrize("text", ["", "龍" * 100_000, "\ud800"])
async def test_what_a_service_would_not_take_is_not_sent(runner: Runner, text: str) -> None:
    async with connect(runner.url) as client:
        with pytest.raises(InvalidRequest):
            client.ask(text)
        with pytest.raises(InvalidRequest):
            await client.send(text)
        assert (await answer_to(client, "still here")).content == "Answer to: still here"


async def test_a_busy_session_refuses_who_will_not_wait(
    runner: Runner, model: FakeModelControl, nonce: str
) -> None:
    async with connect(runner.url) as client:
        held = client.ask(f"[[hold {nonce}]] held")
        await model.held(nonce)
        with pytest.raises(Refused) as caught:
            await client.ask("now or never", on_busy="reject").end()
        assert caught.value.code == "busy" and caught.value.is_retryable
        assert (await client.ask("at once", on_busy="interrupt").end()).content.endswith("at once")
        assert isinstance(await held.end(), Interrupted)


async def test_an_answer_that_fails_is_an_end_like_any_other(runner: Runner, nonce: str) -> None:
    async with connect(runner.url) as client:
        end = await answer_to(client, f"[[status 400]] {nonce}")
    assert isinstance(end, RunFailed)
    assert end.code == "model_error"


async def test_a_session_that_has_ended_can_be_read_and_not_be_used(runner: Runner) -> None:
    async with connect(runner.url) as client:
        await client.close_session()
    async with connect(runner.url, session_id=client.session_id) as late:
        seen = [event async for event in late.events()]
        assert isinstance(durable(seen)[-1], SessionEnded)
        with pytest.raises(Refused, match="ended"):
            await late.send("anybody?")


async def test_leaving_ends_what_is_still_waited_for(
    runner: Runner, model: FakeModelControl, nonce: str
) -> None:
    async with connect(runner.url) as client:
        stream = client.events()
        answer = client.ask(f"[[hold {nonce}]] held")
        await model.held(nonce)
    with pytest.raises(ClientClosed):
        await answer.end()
    assert all([event async for event in stream])
    with pytest.raises(ClientClosed):
        client.ask("more")
    await model.release(nonce)


async def test_the_service_s_sentences_are_in_the_language_asked_for(runner: Runner) -> None:
    async with connect(runner.url, lang="zh-CN") as client:
        created = await until(client.events(), SessionCreated)
        assert isinstance(created, SessionCreated)
        assert created.content != "Conversation with tools started."


async def test_the_program_of_the_documents_holds_a_conversation(serve: Serve) -> None:
    page = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
    source = page[page.index("# talk.py") : page.index("asyncio.run(main())")]
    runner = serve(ROOT / "examples" / "ws_weather_agent.py", env=OFFLINE)
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        source.replace("ws://localhost:8080/", runner.url) + "asyncio.run(main())",
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    async with asyncio.timeout(PATIENCE_S):
        output, _ = await program.communicate()
    said = output.decode().splitlines()
    assert "get_weather success Beijing is sunny today: 22°C, 35% humidity." in said
    assert program.returncode == 0


async def test_a_message_that_was_answered_gives_its_answer_again(runner: Runner) -> None:
    async with connect(runner.url) as client, asyncio.timeout(PATIENCE_S):
        first = await client.ask("once", message_id="id-1").end()
        again = await client.ask("once", message_id="id-1").end()
    assert again == first
