"""What a live session makes of writes that are refused, crossed or cut off."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError

from agents.log import reading
from agents.log.journal import JournalStopped, RowRefused
from agents.log.writes import OwnershipLost, RunEnded, Write
from agents.models import Event, Run
from agents.ownership import servers
from agents.ownership.taking import UnknownSession
from agents.ports import Refused
from agents.sessions.conversations import Conversations
from myagent.foreign import ForeignAgent
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Usage
from myagent.steps import Answer, Step, Thought, ToolStarted
from tests.agents.leases import begin_anew
from tests.agents.logs import SERVICE
from tests.agents.recording_socket import RecordingSocket
from tests.agents.test_session_property import PATIENCE_S, Story, judge, judge_runs, stage
from tests.agents.test_session_property import parsed as event

pytestmark = pytest.mark.django_db(transaction=True)

SAY_A, SAY_B, SAY_C = [("say", name, "enqueue") for name in "abc"]


@pytest.fixture
async def story(settings: Any) -> AsyncIterator[Story]:
    settings.MYAGENT_ADOPT_S = 60.0
    with stage() as agents:
        story = Story(agents, SERVICE)
        await story.begin()
        yield story
        for conversations in story.all_conversations:
            await conversations.stop()


async def told(story: Story, kind: str, message_id: str) -> dict[str, Any]:
    """What a client is told of that kind about a message."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for frame in [frame for socket in story.sockets for frame in socket.told]:
                if frame["event"] == kind and frame["metadata"].get("message_id") == message_id:
                    return frame
            story.socket.heard.clear()
            await story.socket.heard.wait()


def refuse_once(
    conversations: Conversations,
    is_meant: Callable[[Write], bool],
    error: type[Exception] = RowRefused,
) -> None:
    """The first write that is meant is refused; as a rule, the database can't store it."""
    append, refused = conversations.journal.append, []

    def choose(write: Write, done: Any) -> None:
        if not refused and is_meant(write):
            refused.append(write)
            asyncio.get_running_loop().call_soon(done, error())
        else:
            append(write, done)

    conversations.journal.append = choose  # type: ignore[method-assign]


def refuse_all(
    conversations: Conversations, is_meant: Callable[[Write], bool], error: Exception
) -> Callable[[], None]:
    """What is meant waits until the result is called, and is refused then."""
    append, held = conversations.journal.append, []

    def choose(write: Write, done: Any) -> None:
        if is_meant(write):
            held.append(done)
        else:
            append(write, done)

    def refuse() -> None:
        for done in held:
            done(error)

    conversations.journal.append = choose  # type: ignore[method-assign]
    return refuse


def hold_back(
    conversations: Conversations, is_meant: Callable[[Write], bool]
) -> Callable[[], None]:
    """What is meant waits on its way to the database until the result is called."""
    append, held = conversations.journal.append, []

    def choose(write: Write, done: Any) -> None:
        if is_meant(write):
            held.append((write, done))
        else:
            append(write, done)

    def release() -> None:
        for item in held:
            append(*item)

    conversations.journal.append = choose  # type: ignore[method-assign]
    return release


def writes(kind: str) -> Callable[[Write], bool]:
    return lambda write: any(entry.event == kind for entry in write.entries)


async def log_of(story: Story) -> list[Event]:
    entries = Event.objects.filter(session_id=story.session_id).order_by("seq")
    return [entry async for entry in entries]


async def remember_only_the_last(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Message a is answered, and so long ago that only the database knows it."""
    monkeypatch.setattr(reading, "REMEMBERED_MESSAGES", 1)
    story.permits.open()
    for operation in (SAY_A, SAY_B):
        await story.do(operation)
        await told(story, "agent.final_answer", operation[1])


async def test_a_run_starts_behind_a_repeated_message_that_was_cancelled_at_once(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remember_only_the_last(story, monkeypatch)
    for operation in (SAY_A, SAY_C, ("cancel", "a")):
        await story.do(operation)
    await told(story, "agent.final_answer", "c")
    judge_runs(await log_of(story))


async def test_a_message_that_waits_beside_a_repeated_one_ends_with_the_session(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remember_only_the_last(story, monkeypatch)
    for operation in (("say", "d", "enqueue"), SAY_A, SAY_C):
        await story.do(operation)
    await story.conversations.port.send(
        story.socket, event("user.close_session", session_id=story.session_id)
    )
    await told(story, "agent.interrupted", "c")
    judge_runs(await log_of(story))


async def test_who_went_ahead_earlier_does_not_interrupt_after_a_restart(story: Story) -> None:
    await story.do(SAY_A)
    await story.socket.hear("agent.thinking")
    for name in "bc":
        await story.do(("say", name, "interrupt"))
    # Its end and the next one's start are one write.
    await told(story, "agent.interrupted", "a")
    await story.do(("crash",))
    await story.end()
    await sync_to_async(judge)(story)
    answered = Run.objects.filter(status=Run.Status.ANSWERED).order_by("ordinal")
    assert [run.message_id async for run in answered] == ["c", "b"]


@pytest.mark.parametrize("kind", ["agent.thinking", "agent.tool_call", "agent.tool_result"])
async def test_a_step_that_cannot_be_stored_leaves_a_context_that_a_model_takes(
    story: Story, kind: str
) -> None:
    story.permits.open()
    refuse_once(story.conversations, writes(kind))
    await story.do(SAY_A)
    error = await told(story, "agent.error", "a")
    assert error["metadata"]["code"] == "internal_error"
    await story.do(SAY_B)
    await told(story, "agent.final_answer", "b")
    await story.do(("replace",))
    await story.do(SAY_C)
    await told(story, "agent.final_answer", "c")
    assert story.model.faults == []


async def test_an_end_that_cannot_be_stored_leaves_no_call_without_its_result(
    story: Story,
) -> None:
    refuse_once(story.conversations, writes("agent.interrupted"))
    await story.do(SAY_A)
    await story.do(SAY_B)
    story.permits.give()
    await story.socket.hear("agent.tool_call")
    await story.do(("cancel", "a"))
    await told(story, "agent.error", "a")
    story.permits.open()
    await told(story, "agent.final_answer", "b")
    await story.do(("replace",))
    await story.do(SAY_C)
    await told(story, "agent.final_answer", "c")
    assert story.model.faults == []
    judge_runs(await log_of(story))


async def test_a_response_that_comes_while_the_first_is_being_written_gets_that_one_back(
    story: Story,
) -> None:
    story.model.asks_people = True
    story.permits.open()
    await story.do(SAY_A)
    question = await story.socket.hear("agent.user_confirm")
    named = {"session_id": story.session_id, "step_id": question["step_id"]}
    release = hold_back(story.conversations, writes("user.response"))
    late = RecordingSocket()
    for socket, approved in ((story.socket, True), (late, False)):
        content = {"approved": approved}
        await story.conversations.port.send(
            socket, event("user.response", content=content, **named)
        )
    release()
    async with asyncio.timeout(PATIENCE_S):
        kept = await story.socket.hear("user.response")
        again = await late.hear("user.response", duplicate=True)
        await story.socket.hear("agent.tool_result")
    assert again["content"] == kept["content"] == {"approved": True}
    assert again["metadata"]["original_seq"] == kept["seq"]
    assert "seq" not in again
    duplicates = [frame for frame in story.socket.told if frame["metadata"].get("duplicate")]
    assert duplicates == [], "nobody else asked"


REFUSALS: list[tuple[type[Exception], str, str]] = [
    (RowRefused, "internal_error", "internal_error"),
    (RunEnded, "not_waiting", "internal_error"),
    (JournalStopped, "service_unavailable", "service_unavailable"),
]
"""Why nothing was written; what is said of a response then, and of a message."""


@pytest.mark.parametrize(("refusal", "code"), [(refusal, code) for refusal, code, _ in REFUSALS])
async def test_everybody_whose_response_was_not_taken_is_told(
    story: Story, refusal: type[Exception], code: str
) -> None:
    story.model.asks_people = True
    story.permits.open()
    await story.do(SAY_A)
    question = await story.socket.hear("agent.user_confirm")
    named = {"session_id": story.session_id, "step_id": question["step_id"]}
    refuse = refuse_all(story.conversations, writes("user.response"), refusal())
    joined, gone = RecordingSocket(), RecordingSocket()
    for socket in (story.socket, joined, gone):
        await story.conversations.port.send(
            socket, event("user.response", content={"approved": True}, **named)
        )
    story.conversations.port.detach(gone)
    refuse()
    async with asyncio.timeout(PATIENCE_S):
        for socket in (story.socket, joined, gone):
            error = await socket.hear("system.error", code=code)
            assert error["metadata"]["session_id"] == story.session_id


@pytest.mark.parametrize(("refusal", "code"), [(refusal, code) for refusal, _, code in REFUSALS])
async def test_everybody_whose_message_was_not_accepted_is_told(
    story: Story, refusal: type[Exception], code: str
) -> None:
    refuse = refuse_all(story.conversations, writes("user.message"), refusal())
    joined, gone = RecordingSocket(), RecordingSocket()
    said = {"content": "text a", "metadata": {"message_id": "a", "on_busy": "interrupt"}}
    for socket in (story.socket, joined, gone):
        message = event("user.message", session_id=story.session_id, **said)
        await story.conversations.port.send(socket, message)
    story.conversations.port.detach(gone)
    refuse()
    async with asyncio.timeout(PATIENCE_S):
        for socket in (story.socket, joined, gone):
            error = await socket.hear("system.error", code=code, message_id="a")
            assert error["metadata"]["session_id"] == story.session_id


REQUESTS: list[tuple[str, dict[str, Any], str]] = [
    ("user.message", {"content": "text b"}, "user.message"),
    ("user.response", {"content": {"approved": True}}, "agent.tool_result"),
    ("user.cancel", {}, "agent.interrupted"),
    ("user.close_session", {}, "agent.session_end"),
]
"""What a client asks for while a run waits for its answer, and what comes of it."""


@pytest.mark.parametrize(("kind", "fields", "effect"), REQUESTS)
async def test_what_the_loss_of_the_session_refused_is_done_by_its_next_owner(
    story: Story, kind: str, fields: dict[str, Any], effect: str
) -> None:
    story.model.asks_people = True
    story.permits.open()
    await story.do(SAY_A)
    question = await story.socket.hear("agent.user_confirm")
    written = "agent.interrupted" if kind == "user.close_session" else kind
    refuse_once(story.conversations, writes(written), OwnershipLost)
    named = {"session_id": story.session_id}
    if kind == "user.response":
        named["step_id"] = question["step_id"]
    await story.conversations.port.send(story.socket, event(kind, **named, **fields))
    async with asyncio.timeout(PATIENCE_S):
        await story.socket.hear(effect, **({"position": 1} if kind == "user.message" else {}))
    assert not [frame for frame in story.socket.told if frame["event"] == "system.error"]
    assert story.socket.close_code is None


async def test_feedback_that_the_loss_of_the_session_refused_is_kept_by_its_next_owner(
    story: Story,
) -> None:
    story.permits.open()
    await story.do(SAY_A)
    await told(story, "agent.final_answer", "a")
    refuse_once(story.conversations, writes("user.feedback"), OwnershipLost)
    given = {"content": "fine", "metadata": {"message_id": "a", "score": 1}}
    feedback = event("user.feedback", session_id=story.session_id, **given)
    await story.conversations.port.send(story.socket, feedback)
    async with asyncio.timeout(PATIENCE_S):
        await story.socket.hear("user.feedback", score=1)
    assert [each.event for each in await log_of(story)].count("user.feedback") == 1
    assert not [frame for frame in story.socket.told if frame["event"] == "system.error"]


async def test_who_gave_feedback_that_could_not_be_stored_is_told(story: Story) -> None:
    story.permits.open()
    await story.do(SAY_A)
    await told(story, "agent.final_answer", "a")
    refuse_once(story.conversations, writes("user.feedback"), RowRefused)
    given = {"metadata": {"message_id": "a", "score": 1}}
    feedback = event("user.feedback", session_id=story.session_id, **given)
    await story.conversations.port.send(story.socket, feedback)
    async with asyncio.timeout(PATIENCE_S):
        await story.socket.hear("system.error", code="internal_error", message_id="a")


@pytest.mark.parametrize("refusal", [RowRefused, JournalStopped])
async def test_who_begins_a_session_that_cannot_be_written_is_told(
    story: Story, refusal: type[Exception]
) -> None:
    refuse = refuse_all(story.conversations, writes("agent.session_created"), refusal())
    socket = RecordingSocket()
    await story.conversations.port.create(socket, event("user.create_session"))
    refuse()
    async with asyncio.timeout(PATIENCE_S):
        await socket.hear("system.error")
    assert (socket.attached, story.conversations.session_count) == ({}, 1)


async def test_a_repeated_message_whose_echo_cannot_be_read_is_answered(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remember_only_the_last(story, monkeypatch)

    def fail(session_id: str, seq: int) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(reading, "entry_at", fail)
    await story.do(SAY_A)
    async with asyncio.timeout(PATIENCE_S):
        await story.socket.hear("system.error", code="storage_unavailable", message_id="a")


async def test_a_session_that_is_being_written_does_not_leave_memory(
    story: Story, settings: Any
) -> None:
    settings.MYAGENT_SESSION_TIMEOUT_S = 0
    story.permits.open()
    held: list[tuple[Write, Any]] = []
    append = story.conversations.journal.append
    await story.do(SAY_A)
    story.conversations.journal.append = lambda *item: held.append(item)  # type: ignore[method-assign]
    while not any(write.ends for write, _ in held):
        for item in held:
            append(*item)
        held.clear()
        await asyncio.sleep(0.001)
    story.conversations.port.detach(story.socket)
    await story.conversations._sweep()
    assert story.conversations.session_count == 1
    for item in held:
        append(*item)
    while not await Run.objects.filter(ended_at__isnull=False).aexists():  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    await asyncio.sleep(0)
    await story.conversations._sweep()
    assert story.conversations.session_count == 0


async def crowd(story: Story) -> RecordingSocket:
    """Beside the story's session, which nobody watches any more, a second one; its client."""
    story.conversations.port.detach(story.socket)
    socket = RecordingSocket()
    await story.conversations.port.create(socket, event("user.create_session"))
    await socket.hear("agent.session_created")
    return socket


async def rest_in_a_crowd(story: Story) -> None:
    """The story's session has an answer in its history, and nobody watches it any more."""
    story.permits.open()
    await story.do(SAY_A)
    await story.socket.hear("agent.final_answer")
    await crowd(story)


async def sweep_and_come_back(story: Story) -> None:
    """A sweep takes the story's session out of memory; its client gets it back."""
    await story.conversations._sweep()
    assert story.conversations.session_count == 1
    await story.conversations.port.attach(story.socket, story.session_id, 0)
    assert story.conversations.session_count == 2, "who asks for it gets it back"


async def test_above_the_bound_idle_sessions_leave_memory_before_their_time(
    story: Story, settings: Any
) -> None:
    await crowd(story)
    settings.MYAGENT_LIVE_SESSIONS = 2
    await story.conversations._sweep()
    assert story.conversations.session_count == 2
    settings.MYAGENT_LIVE_SESSIONS = 1
    await sweep_and_come_back(story)
    await story.conversations._sweep()
    assert story.conversations.session_count == 2, "those with a socket stay"


async def test_idle_sessions_leave_memory_when_their_histories_are_too_large_together(
    story: Story, settings: Any
) -> None:
    await rest_in_a_crowd(story)
    await story.conversations._sweep()
    assert story.conversations.session_count == 2
    settings.MYAGENT_LIVE_TOKENS = 1
    await sweep_and_come_back(story)


async def test_a_history_that_leaves_memory_does_not_wait_for_the_garbage_collector(
    story: Story, settings: Any
) -> None:
    await rest_in_a_crowd(story)
    session = story.conversations._sessions.get(story.session_id)
    assert session is not None
    messages = [weakref.ref(each) for each in session._log.history.messages()]
    assert messages
    settings.MYAGENT_LIVE_TOKENS = 1
    gc.disable()
    try:
        await story.conversations._sweep()
        assert [each() for each in messages] == [None] * len(messages)
    finally:
        gc.enable()


async def test_a_session_that_is_not_found_leaves_nothing_to_the_garbage_collector(
    story: Story,
) -> None:
    gc.disable()
    try:
        try:
            await story.conversations._sessions.opening.open("nowhere")
        except UnknownSession as error:
            found = weakref.ref(error)
        # The thread in which it failed may hold it for a moment.
        async with asyncio.timeout(PATIENCE_S):
            while found() is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    finally:
        gc.enable()


async def test_at_twice_the_bound_no_new_session_is_started(story: Story, settings: Any) -> None:
    socket = await crowd(story)
    settings.MYAGENT_LIVE_SESSIONS = 1
    with pytest.raises(Refused, match="service_unavailable"):
        await story.conversations.port.create(socket, event("user.create_session"))
    await story.conversations._sweep()
    await story.conversations.port.create(socket, event("user.create_session"))


async def test_a_session_is_closed_once_also_when_it_is_read_from_the_log(
    story: Story, settings: Any
) -> None:
    closing = event("user.close_session", session_id=story.session_id)
    await story.conversations.port.send(story.socket, closing)
    await story.socket.hear("agent.session_end")
    story.conversations.port.detach(story.socket)
    settings.MYAGENT_SESSION_TIMEOUT_S = 0
    await story.conversations._sweep()
    assert story.conversations.session_count == 0
    with pytest.raises(Refused, match="session_closed"):
        await story.conversations.port.send(story.socket, closing)


async def test_a_session_that_leaves_memory_as_it_is_found_is_found_again(
    story: Story, settings: Any
) -> None:
    settings.MYAGENT_SESSION_TIMEOUT_S = 0
    story.conversations.port.detach(story.socket)
    await story.conversations._sweep()
    assert story.conversations.session_count == 0
    loop, sweeps = asyncio.get_running_loop(), list[asyncio.Task[None]]()
    keep = story.conversations._sessions.keep

    def keep_and_sweep(*args: Any) -> Any:
        if not sweeps:
            sweeps.append(loop.create_task(story.conversations._sweep()))
        return keep(*args)

    story.conversations._sessions.keep = keep_and_sweep  # type: ignore[method-assign]
    await story.do(("cancel", None))
    await sweeps[0]
    (attached,) = story.socket.attached.values()
    assert attached is (await story.conversations._sessions.find(story.session_id, None))


async def test_who_attaches_while_a_session_leaves_memory_sees_it_come_back(
    story: Story, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MYAGENT_SESSION_TIMEOUT_S = 0
    story.permits.open()
    story.conversations.port.detach(story.socket)
    loop, look, sweeps = asyncio.get_running_loop(), reading.next_entries, []

    def look_while_it_leaves(places: Sequence[reading.LogPlace]) -> Any:
        if not sweeps:
            sweeps.append(asyncio.run_coroutine_threadsafe(story.conversations._sweep(), loop))
            sweeps[0].result(PATIENCE_S)
        return look(places)

    monkeypatch.setattr(reading, "next_entries", look_while_it_leaves)
    await story.conversations.port.attach(story.socket, story.session_id, 0)
    assert sweeps
    await story.socket.hear("agent.replay_complete")
    await story.do(SAY_A)
    await told(story, "agent.final_answer", "a")


async def committed_but_told_to_nobody(story: Story) -> tuple[int, Callable[[], None]]:
    """A message's place in the log, before anybody knows; what is called to let them know."""
    journal, loop = story.conversations.journal, asyncio.get_running_loop()
    report, kept, is_committed = journal._report, [], asyncio.Event()

    def keep(*outcomes: Any) -> None:
        kept.append(outcomes)
        loop.call_soon_threadsafe(is_committed.set)

    def release() -> None:
        journal._report = report  # type: ignore[method-assign]
        for outcomes in kept:
            report(*outcomes)

    journal._report = keep  # type: ignore[method-assign]
    await story.do(SAY_B)
    async with asyncio.timeout(PATIENCE_S):
        await is_committed.wait()
    newest = (await log_of(story))[-1]
    assert newest.event == "user.message"
    return newest.seq, release


def durable_seqs(socket: RecordingSocket) -> list[int]:
    return [frame["seq"] for frame in socket.told if "seq" in frame]


async def test_who_reads_the_log_is_not_ahead_of_the_session(story: Story) -> None:
    story.permits.open()
    await story.do(SAY_A)
    await told(story, "agent.final_answer", "a")
    newest, release = await committed_but_told_to_nobody(story)
    reader = RecordingSocket()
    await story.conversations.port.attach(reader, story.session_id, 0)
    await reader.hear("agent.replay_complete")
    assert durable_seqs(reader) == list(range(1, newest))
    release()
    answer = await told(story, "agent.final_answer", "b")
    await reader.hear("agent.final_answer", message_id="b")
    assert durable_seqs(reader) == list(range(1, answer["seq"] + 1))


async def test_who_comes_back_with_what_was_just_committed_is_told_nothing_twice(
    story: Story,
) -> None:
    story.permits.open()
    newest, release = await committed_but_told_to_nobody(story)
    reader = RecordingSocket()
    await story.conversations.port.attach(reader, story.session_id, newest)
    resumed = await reader.hear("agent.session_resumed")
    assert "resync" not in resumed["metadata"]
    assert (resumed["metadata"]["last_seq"], resumed["metadata"]["replaying"]) == (newest, 0)
    release()
    answer = await told(story, "agent.final_answer", "b")
    await reader.hear("agent.final_answer", message_id="b")
    assert durable_seqs(reader) == list(range(newest + 1, answer["seq"] + 1))


async def test_who_comes_back_to_a_log_that_was_pruned_to_nothing_is_told_of_it(
    story: Story,
) -> None:
    story.permits.open()
    await story.do(SAY_A)
    end = (await told(story, "agent.final_answer", "a"))["seq"]
    await Event.objects.filter(session_id=story.session_id).adelete()
    readers = {0: RecordingSocket(), end - 1: RecordingSocket(), end: RecordingSocket()}
    for last_seq, reader in readers.items():
        await story.conversations.port.attach(reader, story.session_id, last_seq)
        async with asyncio.timeout(PATIENCE_S):
            complete = await reader.hear("agent.replay_complete")
        assert complete["metadata"]["last_seq"] == end
        resumed = await reader.hear("agent.session_resumed")
        assert (resumed["metadata"]["last_seq"], resumed["metadata"]["replaying"]) == (end, 0)
        assert resumed["metadata"].get("resync", False) is (last_seq < end)
    await story.do(SAY_B)
    answer = await told(story, "agent.final_answer", "b")
    for reader in readers.values():
        await reader.hear("agent.final_answer", message_id="b")
        assert durable_seqs(reader) == list(range(end + 1, answer["seq"] + 1))


async def test_sessions_that_are_attached_at_once_do_not_exceed_what_a_socket_may_have(
    story: Story, settings: Any
) -> None:
    settings.MYAGENT_SESSIONS_PER_CONNECTION = 2
    session_ids = []
    for _ in range(5):
        await story.conversations.port.create(
            socket := RecordingSocket(), event("user.create_session")
        )
        session_ids.append((await socket.hear("agent.session_created"))["session_id"])
    socket = RecordingSocket()
    outcomes = await asyncio.gather(
        *(story.conversations.port.attach(socket, session_id, 0) for session_id in session_ids),
        return_exceptions=True,
    )
    refused = [str(each) for each in outcomes if isinstance(each, Refused)]
    assert (len(socket.attached), refused) == (2, ["too_many_sessions"] * 3)
    assert len([frame for frame in socket.told if frame["event"] == "agent.session_resumed"]) == 2


def look_late(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, Callable[[], None]]:
    """Whoever looks up a message has looked, but is told nothing until the second is called."""
    loop, looked, told = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    look = reading.accepted_seq

    def look_and_wait(session_id: str, message_id: str) -> int | None:
        seq = look(session_id, message_id)
        loop.call_soon_threadsafe(looked.set)
        assert told.wait(PATIENCE_S)
        return seq

    monkeypatch.setattr(reading, "accepted_seq", look_and_wait)
    return looked, told.set


async def test_a_message_that_is_accepted_while_it_is_looked_up_is_not_interrupted_by_itself(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remember_only_the_last(story, monkeypatch)
    story.permits.close()
    await story.do(SAY_C)
    await told(story, "user.message", "c")
    looked, tell = look_late(monkeypatch)
    repeated = event(
        "user.message",
        session_id=story.session_id,
        content="text d",
        metadata={"message_id": "d", "on_busy": "interrupt"},
    )
    other = RecordingSocket()
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        group.create_task(story.conversations.port.send(other, repeated))
        await looked.wait()
        await story.do(("say", "d", "enqueue"))
        await told(story, "user.message", "d")
        await story.do(("cancel", "c"))
        await told(story, "agent.interrupted", "c")
        tell()
    again = await other.hear("user.message", duplicate=True)
    assert again["metadata"]["message_id"] == "d"
    story.permits.open()
    await told(story, "agent.final_answer", "d")
    judge_runs(await log_of(story))


async def test_a_session_taken_under_a_lease_that_was_lost_meanwhile_is_not_kept(
    story: Story, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MYAGENT_SESSION_TIMEOUT_S = 0
    story.conversations.port.detach(story.socket)
    await story.conversations._sweep()
    loop, open_session = asyncio.get_running_loop(), reading.open_session

    def open_while_the_lease_is_lost(*args: Any, **options: Any) -> reading.Opened:
        monkeypatch.undo()
        servers.end(story.conversations.lease.server_id)
        asyncio.run_coroutine_threadsafe(begin_anew(story.conversations), loop).result(PATIENCE_S)
        return open_session(*args, **options)

    monkeypatch.setattr(reading, "open_session", open_while_the_lease_is_lost)
    await story.conversations.port.attach(story.socket, story.session_id, 0)
    assert story.conversations.session_count == 0
    # It follows the session, and takes it over since nobody owns it.
    story.permits.open()
    await story.do(SAY_A)
    async with asyncio.timeout(PATIENCE_S):
        await story.socket.hear("agent.final_answer")
    assert story.conversations.session_count == 1


@pytest.mark.both_databases
async def test_a_run_ends_though_its_calls_have_names_that_cannot_be_stored() -> None:
    call = ToolCall("x" * (1 + Event._meta.get_field("step_id").max_length), "work", "{}")

    async def talk(text: str) -> AsyncGenerator[Step, None]:
        yield Thought(1, "", ChatMessage("assistant", "", (call,)), Usage(), 0)
        yield ToolStarted(call.id, call.name, {})
        yield Answer("done", 1, Usage())

    with stage() as agents:
        story = Story(agents, SERVICE)
        story.model.agent = lambda: ForeignAgent(talk)  # type: ignore[method-assign, assignment, return-value]
        await story.begin()
        await story.do(SAY_A)
        async with asyncio.timeout(PATIENCE_S):
            # The database sends no event.
            while not await Run.objects.filter(ended_at__isnull=False).aexists():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await story.conversations.stop()
    judge_runs(await log_of(story))
