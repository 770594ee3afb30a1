"""Waits until a service reaches a requested state, without blocking other requests."""

from __future__ import annotations

import asyncio

from asgiref.sync import sync_to_async

from services.waiting import Watch

MAX_WAITING = 50
"""Maximum number of waiting requests in a process; each occupies a thread and a connection."""


class WaitingRoom:
    """For one event loop."""

    def __init__(self, places: int = MAX_WAITING) -> None:
        self._free = places

    async def wait_for(self, service_id: str, timeout_s: float) -> bool:
        """Whether it got there, or was deleted, in time.

        Returns at once if it can't get there, or if too many requests are waiting. Cancelling is
        safe.
        """
        if self._free <= 0:
            return False
        self._free -= 1
        try:
            return await _arrives(service_id, timeout_s)
        finally:
            self._free += 1


async def _arrives(service_id: str, timeout_s: float) -> bool:
    watch = Watch(service_id, timeout_s)
    while True:
        # Each request has a thread of its own for this.
        progress = await sync_to_async(watch.look)()
        if progress is not None and progress.is_final:
            return not progress.has_failed
        pause_s = watch.pause_s()
        if pause_s is None:
            return False
        await asyncio.sleep(pause_s)
