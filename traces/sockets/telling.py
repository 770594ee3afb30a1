"""Tells one client the traces of its runs, each message once, as they go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager

import structlog

from agents.runtime import background
from agents.runtime.database import DatabaseThreads
from traces.live.looking import all_messages, present_or_bare
from traces.live.messages import Message
from traces.live.retrying import ask

logger = structlog.get_logger(__name__)


class Telling:
    """Reads what the log says is new. Its methods belong to the event loop.

    `tell` waits until there is room for a message.
    """

    def __init__(
        self, database: DatabaseThreads, tell: Callable[[Message], Awaitable[None]]
    ) -> None:
        self._database = database
        self._tell = tell
        self._told: dict[str, set[str]] = {}
        """By run that has not been told to its end: the ids of its messages that were told."""
        self._wake = asyncio.Event()

    def add(self, run_id: str) -> None:
        """Its trace is to be told once it begins."""
        self._told.setdefault(run_id, set())

    def look_again(self) -> None:
        """The log has grown."""
        self._wake.set()

    @asynccontextmanager
    async def going_on(self, on_failed: Callable[[], None]) -> AsyncIterator[None]:
        """Tells, within the context. `on_failed`: nothing more will be told."""
        task = asyncio.get_running_loop().create_task(self._go_on(on_failed))
        try:
            yield
        finally:
            await background.end([task])

    async def _go_on(self, on_failed: Callable[[], None]) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._tell_news()
            except Exception:
                logger.exception("trace_not_told")
                on_failed()
                return

    async def _tell_news(self) -> None:
        if not self._told:
            return
        before = {run_id: frozenset(told) for run_id, told in self._told.items()}
        for run_id, messages in (await ask(self._database, _read, before)).items():
            told = self._told[run_id]
            for message in messages:
                if message.message_id not in told:
                    await self._tell(message)
                    told.add(message.message_id)
            if any(message.event_type == "trace_completed" for message in messages):
                del self._told[run_id]


def _read(told: Mapping[str, AbstractSet[str]]) -> dict[str, list[Message]]:
    found = present_or_bare(list(told))
    return all_messages([found[run_id] for run_id in told if run_id in found], told)
