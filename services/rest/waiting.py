"""Waits until a service is where it is asked to be, and holds up no other request meanwhile."""

from __future__ import annotations

import asyncio
import time

from asgiref.sync import sync_to_async

from services import control, doorbell
from services.models import Service

MAX_WAITING = 50
"""Requests of a process that may wait at once; each holds a thread and a connection."""


class WaitingRoom:
    """For one event loop."""

    def __init__(self, places: int = MAX_WAITING) -> None:
        self._free = places

    async def wait_for(self, service_id: str, timeout_s: float) -> bool:
        """Whether it got there, or is gone, in time.

        Does not wait where it can't get there, or where all places are taken.
        Cancelling is safe.
        """
        if self._free <= 0:
            return False
        self._free -= 1
        try:
            return await _arrives(service_id, timeout_s)
        finally:
            self._free += 1


async def _arrives(service_id: str, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    heard: doorbell.Sound | None = None
    while True:
        # Each request has a thread of its own for this.
        heard, verdict = await sync_to_async(_look)(service_id, heard)
        left_s = deadline - time.monotonic()
        if verdict is not None or left_s <= 0:
            return verdict is True
        await asyncio.sleep(min(doorbell.LOOK_S, left_s))


def _look(service_id: str, heard: doorbell.Sound | None) -> tuple[doorbell.Sound, bool | None]:
    """Whether it got there; None while that is open."""
    sound = doorbell.listen()
    if sound == heard:
        return sound, None
    service = Service.objects.filter(pk=service_id).first()
    if service is None:
        return sound, True
    if service.unregistered_at is not None:
        return sound, None
    if control.has_arrived(service):
        return sound, True
    return sound, False if control.has_failed(service) else None
