"""Tells other servers, through Redis, that traces have changed: their viewers need not wait."""

from __future__ import annotations

import asyncio

from agents.chores import Chore
from agents.runtime import bell
from agents.runtime.database import DatabaseThreads
from traces.live.hearing import woken

BELL = "traces"
"""See `agents.runtime.bell`."""

NOBODY_S = 1.0
"""Seconds for which nothing is said once nobody has listened: their viewers poll meanwhile."""


async def _ring(database: DatabaseThreads) -> None:
    """As long as the server lives."""
    if not bell.is_shared():
        await asyncio.Event().wait()
    wake = asyncio.Event()
    with woken(wake):
        while True:
            await wake.wait()
            # What is committed meanwhile is one more word.
            wake.clear()
            if not await bell.send_words(BELL, {}):
                await asyncio.sleep(NOBODY_S)


RINGING = Chore(NOBODY_S, _ring)
