"""What the crash tests judge by: the clients' own records, the log, what tools and model saw."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed

from tests.recording import (
    PATIENCE_S,
    TERMINAL,
    Frame,
    Recorder,
    assert_gapless,
    assert_one_end_each,
    durable,
)

POLL_S = 0.02


class Witness:
    """A client of one session that outlives its sockets.

    `seen` is all that it ever received; it resumes after the last durable event among that.
    """

    def __init__(self, recorder: Recorder, session_id: str) -> None:
        self.recorder = recorder
        self.session_id = session_id
        self._before: list[Frame] = []

    @classmethod
    async def arrive(cls, url: str) -> Self:
        recorder = await Recorder.open(url)
        return cls(recorder, await recorder.create_session())

    @property
    def seen(self) -> list[Frame]:
        return [*self._before, *self.recorder.frames]

    @property
    def durable(self) -> list[Frame]:
        return durable(self.seen, self.session_id)

    @property
    def last_seq(self) -> int:
        return max((frame["seq"] for frame in self.durable), default=0)

    async def say(self, text: str, **metadata: Any) -> None:
        await self.recorder.say(self.session_id, text, **metadata)

    async def lose(self) -> int:
        """Reads to the end of the socket; its close code."""
        return await self.recorder.read_to_close()

    async def reattach(self, url: str) -> None:
        """A new socket, resumed where this client's record ends. May be tried again."""
        await self.recorder.socket.close()
        recorder, last_seq = await Recorder.open(url), self.last_seq
        self.turn_to(recorder)
        await recorder.reconnect(self.session_id, last_seq)

    def turn_to(self, recorder: Recorder) -> None:
        """What it receives from now on comes from another socket."""
        self._before, self.recorder = self.seen, recorder

    async def until_ended(self, count: int) -> None:
        """Until as many messages of the session have ended as `count` says."""
        while sum(frame["event"] in TERMINAL for frame in self.durable) < count:
            await self.recorder.receive()

    async def leave(self) -> None:
        await self.recorder.socket.close()


@contextmanager
def connection(database_url: str) -> Iterator[Any]:
    """One of its own, past the product's code."""
    url = urlsplit(database_url)
    if url.scheme == "sqlite":
        with closing(sqlite3.connect(url.path, timeout=20)) as opened:
            yield opened
        return
    import MySQLdb

    assert url.hostname and url.port
    with closing(
        MySQLdb.connect(
            host=url.hostname, port=url.port, user="root", db=url.path[1:], charset="utf8mb4"
        )
    ) as opened:
        yield opened


def query(database_url: str, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a plain query, past the product's own code."""
    with connection(database_url) as database, closing(database.cursor()) as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def execute(database_url: str, sql: str) -> None:
    """A change past the product's own code."""
    with connection(database_url) as database, closing(database.cursor()) as cursor:
        cursor.execute(sql)
        database.commit()


def read_log(database_url: str, session_id: str) -> list[Frame]:
    """A session's log as it lies in the database, in frames as a client would see them."""
    rows = query(
        database_url,
        "SELECT seq, event, step_id, run_id, payload FROM agents_event"
        f" WHERE session_id = '{session_id}' ORDER BY seq",
    )
    return [
        {"seq": seq, "event": event, "step_id": step_id, "run_id": run_id, **json.loads(payload)}
        for seq, event, step_id, run_id, payload in rows
    ]


async def until(is_true: Callable[[], Any]) -> Any:
    """Looks until it is so: for what has no socket to tell it."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := is_true()):  # noqa: ASYNC110 - files and other processes send no event
            await asyncio.sleep(POLL_S)
        return found


async def until_logged_ends(database_url: str, session_id: str, count: int) -> None:
    """Waits, without any client, until the log holds so many ends.

    They may be in the log a moment before the server tells its clients, even those that come now.
    """

    def is_there() -> bool:
        log = read_log(database_url, session_id)
        return sum(entry["event"] in TERMINAL for entry in log) >= count

    await until(is_there)


class HasDurable(Protocol):
    """A client's record: the durable events of one session, in the order in which they came."""

    @property
    def durable(self) -> list[Frame]: ...


def assert_promises(database_url: str, session_id: str, *witnesses: HasDurable) -> None:
    """One end for each message, no gap, nothing but feedback after a run's end, every client saw it
    all.
    """
    log = read_log(database_url, session_id)
    assert_gapless(log)
    assert_one_end_each(log)
    _assert_nothing_after_an_end(log)
    told = [_as_told(entry) for entry in log]
    for witness in witnesses:
        assert [_as_told(frame) for frame in witness.durable] == told


def _as_told(frame: Frame) -> tuple[Any, ...]:
    return (
        frame["seq"],
        frame["event"],
        frame.get("step_id") or "",
        json.dumps([frame["content"], frame["metadata"]], sort_keys=True),
    )


def _assert_nothing_after_an_end(log: Iterable[Frame]) -> None:
    ended = set()
    for entry in log:
        if entry["event"] == "user.feedback":
            assert entry["run_id"] in ended, "feedback before the end of its run"
            continue
        assert entry["run_id"] not in ended, f"{entry['event']} after the end of its run"
        if entry["event"] in TERMINAL:
            ended.add(entry["run_id"])


def assert_valid_contexts(requests: Iterable[Frame]) -> None:
    """What a model server demands: each call has one result, right after it, and none is alone."""
    for request in requests:
        open_calls: list[str] = []
        for message in request["messages"]:
            if message["role"] == "tool":
                open_calls.remove(message["tool_call_id"])
                continue
            assert not open_calls, f"calls without a result: {open_calls}"
            open_calls = [call["id"] for call in message.get("tool_calls", ())]
        assert not open_calls, f"calls without a result: {open_calls}"


def count(folder: Path, name: str) -> int:
    """How often a tool of `counting_agent.py` ran."""
    file = folder / name
    return len(file.read_text().splitlines()) if file.exists() else 0


async def read_out(witness: Witness) -> None:
    """Reads what a dying socket still brings."""
    try:
        while True:
            await witness.recorder.receive()
    except ConnectionClosed:
        return
