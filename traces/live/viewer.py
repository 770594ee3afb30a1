"""One viewer of all traces: what it was told, and what it has yet to be told."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Protocol

from agents.principals import Principal
from agents.runtime.database import DatabaseThreads
from traces.live import changes
from traces.live.messages import Message
from traces.live.retrying import ask
from traces.live.selection import Selection
from traces.live.watched import Told, Wanting, Watched, read_for

AT_ONCE = 32
"""Traces that a viewer that catches up reads together."""

MOST_BEHIND = 100_000
"""Changed traces that are remembered for one viewer."""

MOST_ENDED = 500
"""Ended traces of which a viewer knows what it was told. Another one would be told again, with the
same ids."""


class TooFarBehind(Exception):
    """The viewer takes what it is told much too slowly."""


class Source(Protocol):
    """Where a viewer hears which traces have changed: the tail of the log."""

    @property
    def cursor(self) -> int: ...

    @property
    def high(self) -> int: ...


class Screen(Protocol):
    """Where a viewer sees what it is told. `show` and `say_behind` return at once."""

    principal: Principal | None

    def has_room(self) -> bool: ...

    async def room(self) -> None: ...

    def greet(self, cursor: int) -> None:
        """It watches from now on."""

    def show(self, watched: Watched, message: Message, cursor: int) -> None: ...

    def say_behind(self) -> None:
        """It reads too slowly to be told what happens as it happens."""


class Viewer:
    """`run` tells what the viewer lacks. Once it lacks nothing, the tail tells it the news.

    A trace is always told as it is in the database, less what the viewer knows. So it is enough to
    remember which traces have changed while the viewer could not be told, and nothing is skipped.

    `cursor`: nothing at or below it is missing, or can still appear.
    """

    def __init__(self, selection: Selection, screen: Screen, database: DatabaseThreads) -> None:
        self.selection = selection
        self.screen = screen
        self.is_live = False
        self.cursor = 0
        self._database = database
        self._told: dict[str, set[str]] = {}
        self._ended: OrderedDict[str, set[str]] = OrderedDict()
        self._behind: dict[str, None] = {}
        self._wake = asyncio.Event()

    # What the tail of the log calls.

    def wanting(self, trace_ids: Iterable[str]) -> Wanting:
        """What it wants of these traces, as of now."""
        told: Told = {id_: frozenset(self._told_of(id_)) for id_ in trace_ids}
        return Wanting(self.selection, self.screen.principal, told)

    def offer(self, found: Sequence[Watched]) -> None:
        """Tells what is new, as far as there is room; the rest later."""
        for at, watched in enumerate(found):
            if not self._takes(watched):
                continue
            for message in self._lacking(watched):
                if not self.screen.has_room():
                    self.note_changed([each.trace.pk for each in found[at:]])
                    self.screen.say_behind()
                    return
                self._tell(watched, message)

    def note_changed(self, trace_ids: Collection[str]) -> None:
        """These are to be told later. From now on, the viewer is not live."""
        if trace_ids:
            self.is_live = False
            self._behind.update(dict.fromkeys(trace_ids))
            self._wake.set()

    # What its own task does.

    async def run(self, source: Source) -> None:
        """Until it is cancelled. Raises `TooFarBehind`. The viewer has joined its source."""
        since = self.selection.since
        self.cursor = source.cursor if since is None else min(since, source.cursor)
        self.screen.greet(self.cursor)
        if since is not None:
            await self._read_from(since, source)
        running = await ask(self._database, changes.running)
        self.note_changed([*self.selection.trace_ids, *running])
        while True:
            self._wake.clear()
            await self._catch_up()
            # Nothing was awaited since it was found to lack nothing.
            self.is_live, self.cursor = True, source.cursor
            await self._wake.wait()

    async def _read_from(self, since: int, source: Source) -> None:
        """Tells the traces whose entries came after `since`, up to what the source has seen."""
        end, known = source.high, source.cursor
        position = since
        while position < end:
            page = await ask(self._database, changes.after, position)
            await self._tell_present({run_id: None for _, run_id in page.rows if run_id})
            position = page.rows[-1][0] if page.rows else end
            self.cursor = max(self.cursor, min(position, known))
            if page.is_whole:
                return

    async def _catch_up(self) -> None:
        while self._behind:
            if len(self._behind) > MOST_BEHIND:
                raise TooFarBehind
            some = list(islice(self._behind, AT_ONCE))
            for id_ in some:
                del self._behind[id_]
            await self._tell_present(some)

    async def _tell_present(self, trace_ids: Collection[str]) -> None:
        ids = list(trace_ids)
        for at in range(0, len(ids), AT_ONCE):
            some = ids[at : at + AT_ONCE]
            for watched in await ask(self._database, read_for, some, [self.wanting(some)]):
                for message in self._lacking(watched):
                    while not self.screen.has_room():
                        await self.screen.room()
                    self._tell(watched, message)

    # What it knows.

    def _takes(self, watched: Watched) -> bool:
        is_known = bool(self._told_of(watched.trace.pk))
        return self.selection.takes(watched.trace, self.screen.principal, is_known=is_known)

    def _lacking(self, watched: Watched) -> list[Message]:
        told = self._told_of(watched.trace.pk)
        return [each for each in watched.messages if each.message_id not in told]

    def _told_of(self, trace_id: str) -> AbstractSet[str]:
        return self._told.get(trace_id) or self._ended.get(trace_id) or frozenset()

    def _tell(self, watched: Watched, message: Message) -> None:
        self.screen.show(watched, message, self.cursor)
        trace_id = watched.trace.pk
        told = self._ended.get(trace_id)
        if told is None:
            told = self._told.setdefault(trace_id, set())
        told.add(message.message_id)
        if message.event_type == "trace_completed" and trace_id in self._told:
            self._ended[trace_id] = self._told.pop(trace_id)
            while len(self._ended) > MOST_ENDED:
                self._ended.popitem(last=False)
