"""For any interleaving of messages, steps, crashes, cancels and zombies a session keeps its word.

Whole servers are driven here, without sockets, with real agents on a loop of their own; the log
and what a client was told are the judges.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connection
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agents.directory import SingleService
from agents.log.journal import JournalStopped
from agents.models import Event, Run
from agents.ownership import servers
from agents.ports import Refused
from agents.runs.link import dial
from agents.runs.workers import Workers
from agents.sessions.conversations import Conversations
from myagent import protocol
from myagent.agent import Agent
from tests.agents.logs import SERVICE
from tests.agents.recording_socket import Permits, PermittedModel, RecordingSocket
from tests.inline_worker import inline_worker
from traces.models import Span, Trace

TERMINAL = {"agent.final_answer", "agent.error", "agent.interrupted", "agent.timeout"}
PATIENCE_S = 30

OPERATIONS = st.one_of(
    st.tuples(
        st.just("say"),
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from(["enqueue", "enqueue", "reject", "interrupt"]),
    ),
    st.tuples(st.just("permit"), st.integers(1, 3)),
    st.tuples(st.just("rest")),
    st.tuples(st.just("cancel"), st.sampled_from(["", "a", "b", "all"])),
    st.tuples(st.just("crash")),
    st.tuples(st.just("replace")),
)


class Stage:
    """Where agents play: a worker listens at `path`, and asks the model of the present story."""

    path: Path
    model: PermittedModel

    async def create(self) -> Agent:
        return self.model.agent()


class Story:
    """One session, the server that owns it, and those before it."""

    def __init__(self, stage: Stage, service: str) -> None:
        self.permits = Permits()
        self.model = stage.model = PermittedModel(self.permits)
        self.service = service
        self.all_conversations: list[Conversations] = []
        self.sockets: list[RecordingSocket] = []
        self.session_id = ""
        self._stage = stage

    async def begin(self) -> None:
        await self._start_conversations()
        await self.conversations.port.create(self.socket, parsed("user.create_session"))
        created = await self.socket.hear("agent.session_created")
        self.session_id = created["session_id"]

    @property
    def conversations(self) -> Conversations:
        return self.all_conversations[-1]

    @property
    def socket(self) -> RecordingSocket:
        return self.sockets[-1]

    def new_conversations(self) -> Conversations:
        return Conversations(SingleService(self.service), Workers())

    async def _start_conversations(self) -> None:
        conversations = self.new_conversations()
        self.all_conversations.append(conversations)
        self.sockets.append(RecordingSocket())
        conversations.workers.of(self.service).add(await dial(self._stage.path, "a test"))
        await conversations.start()

    async def do(self, operation: tuple[Any, ...]) -> None:
        match operation:
            case ("say", message_id, on_busy):
                metadata = {"message_id": message_id, "on_busy": on_busy}
                await self._send("user.message", content=f"text {message_id}", metadata=metadata)
            case ("cancel", target):
                metadata = {"all": True} if target == "all" else {"message_id": target or None}
                await self._send("user.cancel", metadata=metadata)
            case ("permit", count):
                for _ in range(count):
                    self.permits.give()
            case ("rest",):
                await asyncio.sleep(0.003)
            case ("crash",):
                await self._replace(is_dead=True)
            case ("replace",):
                await self._replace(is_dead=False)

    async def _send(self, event: str, **fields: Any) -> None:
        try:
            await self.conversations.port.send(
                self.socket, parsed(event, session_id=self.session_id, **fields)
            )
        except Refused as refused:
            assert refused.code == "busy"

    async def _replace(self, *, is_dead: bool) -> None:
        """Another server takes over; the old one is dead, or does not know and writes on."""
        old = self.conversations
        if is_dead:
            loop = asyncio.get_running_loop()
            old.workers.close()
            old.journal.append = lambda write, done: loop.call_soon(done, JournalStopped())  # type: ignore[assignment, method-assign, misc]
        await old.database.run(servers.end, old.lease.server_id)
        await self._start_conversations()
        await self._reattach()

    async def _reattach(self) -> None:
        seen = max(
            (frame.get("seq", 0) for socket in self.sockets for frame in socket.told), default=0
        )
        await self.conversations.port.attach(self.socket, self.session_id, seen)

    async def end(self) -> None:
        """Everything is permitted from now on; all runs end; all servers leave."""
        self.permits.open()
        async with asyncio.timeout(PATIENCE_S):
            here = self.conversations
            # The database sends no event.
            while here.running_count or await here.database.run(self._unfinished):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        for conversations in self.all_conversations:
            await conversations.stop()

    def _unfinished(self) -> bool:
        runs = Run.objects.filter(session_id=self.session_id)
        return runs.filter(status__in=Run.UNFINISHED).exists()


def parsed(event: str, **fields: Any) -> Any:
    return protocol.parse(orjson.dumps({"event": event, **fields}).decode())


@contextmanager
def stage() -> Iterator[Stage]:
    """A worker for the agents of stories, one story after the other."""
    found = Stage()
    with inline_worker(found.create) as worker:
        found.path = worker.path
        yield found


async def tell(story: Story, operations: list[tuple[Any, ...]]) -> None:
    await story.begin()
    try:
        for operation in operations:
            await story.do(operation)
    finally:
        await story.end()


def judge(story: Story) -> None:
    log = list(Event.objects.filter(session_id=story.session_id).order_by("seq"))
    assert [entry.seq for entry in log] == list(range(1, len(log) + 1))
    epochs = [entry.epoch for entry in log]
    assert epochs == sorted(epochs), "a former owner wrote after its successor"
    judge_runs(log)
    judge_client(story, log)
    judge_traces(log)
    assert not story.model.faults
    assert all(count == 1 for count in story.model.effects.values())


def judge_runs(log: list[Event]) -> None:
    accepted = [entry for entry in log if entry.event == "user.message"]
    messages = Counter(entry.metadata["message_id"] for entry in accepted)
    assert set(messages.values()) <= {1}, "a message ran twice"
    ends = Counter(entry.run_id for entry in log if entry.event in TERMINAL)
    assert ends == Counter(entry.run_id for entry in accepted)
    ended = set()
    for entry in log:
        assert entry.run_id not in ended, f"{entry.event} after its run's end"
        if entry.event in TERMINAL:
            ended.add(entry.run_id)


def judge_traces(log: list[Event]) -> None:
    """Each run that began has a trace that tells of it as the log does, with nothing left open."""
    run_ids = {entry.run_id for entry in log if entry.run_id}
    runs = {run.pk: run for run in Run.objects.filter(pk__in=run_ids)}
    traces = {trace.pk: trace for trace in Trace.objects.filter(pk__in=run_ids)}
    assert traces.keys() == {pk for pk, run in runs.items() if run.started_at is not None}
    replies = Counter(entry.run_id for entry in log if entry.event == "agent.thinking")
    results = Counter(entry.run_id for entry in log if entry.event == "agent.tool_result")
    for pk, trace in traces.items():
        told = (trace.status, trace.attempts, trace.ended_at, trace.started_at, trace.steps)
        run = runs[pk]
        assert told == (run.status, run.attempts, run.ended_at, run.started_at, replies[pk])
        spans = list(trace.spans.all())
        assert not [span for span in spans if span.ended_at is None or span.status in Span.OPEN]
        ended = Counter(span.kind for span in spans if span.end_seq)
        assert (ended["think"], ended["tool"]) == (replies[pk], results[pk])
        seqs = {entry.seq: entry.event for entry in log}
        assert {seqs[span.end_seq] for span in spans if span.end_seq and span.kind == "tool"} <= {
            "agent.tool_result"
        }


def judge_client(story: Story, log: list[Event]) -> None:
    """Each socket was told a part of the log in order; an echo means that the log has it."""
    kept = {entry.seq: entry for entry in log}
    for socket in story.sockets:
        seqs = [frame["seq"] for frame in socket.told if "seq" in frame]
        assert seqs == sorted(set(seqs))
        for frame in socket.told:
            if "seq" in frame:
                assert kept[frame["seq"]].event == frame["event"]


@pytest.fixture
def quick_conversations(settings: Any) -> Iterator[ExitStack]:
    settings.MYAGENT_ADOPT_S = 0.05
    settings.MYAGENT_RENEW_S = 60.0
    settings.MYAGENT_LEASE_S = 300.0
    # Never reached; what is limited takes a longer way in.
    settings.MYAGENT_SERVICE_MESSAGES_PER_MINUTE = 1_000_000_000
    with ExitStack() as stack:
        yield stack


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_a_session_keeps_its_promises_whatever_happens(quick_conversations: ExitStack) -> None:
    theirs = quick_conversations.enter_context(stage())
    numbers = iter(range(1_000_000))

    @hypothesis_settings(max_examples=40 if connection.vendor == "sqlite" else 10, deadline=None)
    @given(st.lists(OPERATIONS, min_size=3, max_size=16))
    @example([("say", "a", "enqueue"), ("say", "b", "enqueue"), ("say", "c", "interrupt")])
    @example([("say", "a", "enqueue"), ("say", "b", "enqueue"), ("cancel", "a")])
    @example([("say", "a", "enqueue"), ("cancel", "a"), ("say", "a", "interrupt")])
    def holds(operations: list[tuple[Any, ...]]) -> None:
        story = Story(theirs, f"{SERVICE}-{next(numbers)}")
        asyncio.run(tell(story, operations))
        judge(story)

    holds()
