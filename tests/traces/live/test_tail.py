"""The tail of the log beside writers that commit in another order than that of their ids."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from django.db import OperationalError, connection, connections, transaction

from agents.models import Event
from agents.principals import Principal
from agents.runtime.database import DatabaseThreads
from tests.traces.recorded import Story
from traces.live import tail as tails
from traces.live.looking import all_messages, present
from traces.live.messages import Message
from traces.live.selection import Selection
from traces.live.tail import Tail
from traces.live.viewer import Viewer
from traces.live.watched import Watched
from traces.models import Trace

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

PATIENCE_S = 30.0
WRITERS = 10
RUNS = 6


@dataclass
class Seen:
    """A `Screen`; `is_full`: it takes nothing more for now."""

    principal: Principal | None = None
    told: list[tuple[str, str]] = field(default_factory=list)
    """The trace and the message."""
    cursors: list[int] = field(default_factory=list)
    behind: int = 0
    most: int = 10**9
    """Messages after which it is full."""

    def __post_init__(self) -> None:
        self.has_more = asyncio.Event()
        self.emptied = asyncio.Event()

    def has_room(self) -> bool:
        return len(self.told) < self.most

    async def room(self) -> None:
        await self.emptied.wait()

    def greet(self, cursor: int) -> None:
        self.cursors.append(cursor)
        self.has_more.set()

    def show(self, watched: Watched, message: Message, cursor: int) -> None:
        self.told.append((watched.trace.pk, message.message_id))
        self.cursors.append(cursor)
        self.has_more.set()

    def say_behind(self) -> None:
        self.behind += 1
        self.has_more.set()

    async def until(self, fact: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not fact():
                self.has_more.clear()
                await self.has_more.wait()

    @property
    def ids(self) -> list[str]:
        return [message_id for _, message_id in self.told]


@pytest.fixture
async def database() -> AsyncIterator[DatabaseThreads]:
    threads = DatabaseThreads()
    yield threads
    await threads.stop()


@asynccontextmanager
async def viewing(
    tail: Tail, database: DatabaseThreads, seen: Seen, since: int | None = None
) -> AsyncIterator[Viewer]:
    viewer = Viewer(Selection(since=since), seen, database)
    async with tail.watched_by(viewer):
        task = asyncio.get_running_loop().create_task(viewer.run(tail))
        try:
            await seen.until(lambda: bool(seen.cursors))
            yield viewer
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def every_message() -> list[str]:
    """Of all traces, as they are in the end."""
    now = list(present(Trace.objects.values_list("pk", flat=True)).values())
    messages = all_messages(now, {each.trace.pk: frozenset() for each in now})
    return [each.message_id for told in messages.values() for each in told]


def tell_stories(begun: threading.Event) -> None:
    """Runs one after another, as one server writes them."""
    try:
        story = Story()
        for number in range(RUNS):
            ref = story.ask(f"question {number}")
            begun.set()
            story.think(ref, "search")
            story.work(ref, "search", "success", "found")
            story.answer(ref, "done")
    finally:
        connections["default"].close()


def hold_a_story_open(is_open: threading.Event, may_commit: threading.Event) -> None:
    """A run whose entries have their ids long before anybody can see them."""
    try:
        story = Story()
        with transaction.atomic():
            ref = story.ask("held")
            story.think(ref, "search")
            is_open.set()
            assert may_commit.wait(PATIENCE_S)
    finally:
        connections["default"].close()


async def test_nothing_is_missing_when_ten_writers_commit_out_of_order(
    database: DatabaseThreads,
) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("one transaction after the other: ids are committed in order")
    loop = asyncio.get_running_loop()
    is_open, may_commit, begun = threading.Event(), threading.Event(), threading.Event()
    tail, steady = Tail(database), Seen()
    parts: list[Seen] = []
    with ThreadPoolExecutor(WRITERS + 2) as threads:
        async with viewing(tail, database, steady):
            held = loop.run_in_executor(threads, hold_a_story_open, is_open, may_commit)
            await asyncio.to_thread(is_open.wait, PATIENCE_S)
            writers = [loop.run_in_executor(threads, tell_stories, begun) for _ in range(WRITERS)]
            # One that comes and goes by its cursor, meanwhile.
            since: int | None = steady.cursors[-1]
            while not all(writer.done() for writer in writers):
                parts.append(part := Seen())
                async with viewing(tail, database, part, since):
                    enough = loop.create_task(part.until(lambda part=part: len(part.told) >= 20))
                    await asyncio.wait([enough, *writers], return_when=asyncio.FIRST_COMPLETED)
                    enough.cancel()
                since = part.cursors[-1]
            await asyncio.gather(*writers)
            may_commit.set()
            await held
            wanted = await database.run(every_message)
            assert len(wanted) > WRITERS * RUNS * 8
            await steady.until(lambda: set(wanted) <= set(steady.ids))
            parts.append(last := Seen())
            async with viewing(tail, database, last, since):
                await last.until(lambda: set(wanted) <= {id_ for part in parts for id_ in part.ids})
    assert len(parts) > 2, "it has come back again and again"
    assert sorted(steady.ids) == sorted(wanted), "each once"


async def test_an_entry_that_was_under_way_when_the_viewer_came_is_told(
    database: DatabaseThreads,
) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("one transaction after the other: ids are committed in order")
    loop = asyncio.get_running_loop()
    is_open, may_commit, begun = threading.Event(), threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as threads:
        held = loop.run_in_executor(threads, hold_a_story_open, is_open, may_commit)
        await asyncio.to_thread(is_open.wait, PATIENCE_S)
        await loop.run_in_executor(threads, tell_stories, begun)
        seen = Seen()
        async with viewing(Tail(database), database, seen) as viewer:
            async with asyncio.timeout(PATIENCE_S):
                while not viewer.is_live:  # noqa: ASYNC110 - it has looked for what runs
                    await asyncio.sleep(0.01)
            before = seen.cursors[-1]
            may_commit.set()
            await held
            wanted = await database.run(every_message_of_running)
            await seen.until(lambda: set(wanted) <= set(seen.ids))
        assert wanted and before < max(await database.run(ids_of_entries))


def every_message_of_running() -> list[str]:
    running = list(
        present(Trace.objects.filter(status="running").values_list("pk", flat=True)).values()
    )
    messages = all_messages(running, {each.trace.pk: frozenset() for each in running})
    return [each.message_id for told in messages.values() for each in told]


def ids_of_entries() -> list[int]:
    return list(Event.objects.values_list("pk", flat=True))


async def test_a_viewer_that_does_not_read_is_told_so_and_then_the_rest(
    database: DatabaseThreads,
) -> None:
    tail, slow, quick = Tail(database), Seen(most=3), Seen()
    async with viewing(tail, database, slow), viewing(tail, database, quick):
        await asyncio.to_thread(tell_stories, threading.Event())
        wanted = await database.run(every_message)
        await quick.until(lambda: set(wanted) <= set(quick.ids))
        await slow.until(lambda: slow.behind > 0)
        assert len(slow.told) <= 3
        cursor = slow.cursors[-1]
        slow.most = 10**9
        slow.emptied.set()
        await slow.until(lambda: set(wanted) <= set(slow.ids))
    assert sorted(slow.ids) == sorted(wanted), "each once"
    assert cursor <= quick.cursors[-1]


async def test_the_tail_ends_with_its_last_viewer_and_begins_again(
    database: DatabaseThreads,
) -> None:
    tail = Tail(database)
    for _ in range(2):
        seen = Seen()
        async with viewing(tail, database, seen):
            story = await database.run(Story)
            await database.run(story.ask, "hello")
            await seen.until(lambda seen=seen: len(seen.told) >= 2)
        names = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}
        assert not {name for name in names if name.startswith(("Tail", "Viewer"))}


async def test_a_database_that_is_away_costs_the_viewers_nothing_but_time(
    database: DatabaseThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("traces.live.retrying.RETRY_S", 0.01)
    failures = iter([OperationalError("away")] * 3)
    read = tails.changes.news

    def fail_at_first(*args: object) -> object:
        if (failure := next(failures, None)) is not None:
            raise failure
        return read(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(tails.changes, "news", fail_at_first)
    seen = Seen()
    async with viewing(Tail(database), database, seen):
        story = await database.run(Story)
        await database.run(story.ask, "hello")
        await seen.until(lambda: len(seen.told) >= 2)


async def test_a_viewer_sees_only_its_own_unless_it_may_see_all(
    database: DatabaseThreads,
) -> None:
    ada, root = Principal("user:1", "ada"), Principal("user:2", "root", sees_everything=True)
    bound = Principal("user:2", "root", sees_everything=True, services=frozenset({"other"}))
    screens = [Seen(principal) for principal in (ada, root, bound)]
    tail = Tail(database)
    async with (
        viewing(tail, database, screens[0]),
        viewing(tail, database, screens[1]),
        viewing(tail, database, screens[2]),
    ):

        def write() -> list[str]:
            refs = [
                Story(principal=principal, service=service).ask("hello").run_id
                for principal, service in (
                    ("user:1", "tested"), ("user:3", "tested"), ("user:3", "other"),
                )
            ]  # fmt: skip
            return refs

        own, foreign, other = await database.run(write)
        await screens[1].until(lambda: other in {t for t, _ in screens[1].told})
        await screens[2].until(lambda: bool(screens[2].told))
        await screens[0].until(lambda: bool(screens[0].told))
    traces = [{trace_id for trace_id, _ in screen.told} for screen in screens]
    assert traces == [{own}, {own, foreign, other}, {other}]
