"""Waiting until a service is where it was asked to be: what is seen, and when to look again.

How to sleep in between is each waiter's own business: `follow` is for a plain
program, `services.rest.waiting` for requests, `myagent.manager.waiting` for
programs with an event loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from services import control, doorbell
from services.models import Service


@dataclass(frozen=True, slots=True)
class Progress:
    """`service`: None once it is gone. One on its way off the list neither arrives nor fails."""

    service: Service | None
    is_leaving: bool = False
    has_arrived: bool = False
    has_failed: bool = False

    @property
    def is_final(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.service is None or self.has_arrived or self.has_failed


class Watch:
    """One waiter's. Synchronous, in any thread; a call that nobody waits for any more is harmless.

    `timeout_s`: seconds from now for which it is worth to look again.
    """

    def __init__(self, service_id: str, timeout_s: float) -> None:
        self._service_id = service_id
        self._deadline = time.monotonic() + timeout_s
        self._heard: doorbell.Revision | None = None

    def look(self) -> Progress | None:
        """The service as it is now; None if no bell rang since the last look."""
        # The bell before the service: what changes in between rings again.
        revision = doorbell.revision()
        if revision == self._heard:
            return None
        progress = _see(Service.objects.filter(pk=self._service_id).first())
        self._heard = revision
        return progress

    def pause_s(self) -> float | None:
        """Seconds to sleep until the next look; None when the time is over."""
        left_s = self._deadline - time.monotonic()
        return min(doorbell.LOOK_S, left_s) if left_s > 0 else None


def follow(service_id: str, timeout_s: float, sleep: Callable[[float], None]) -> Iterator[Service]:
    """The service, anew at every change, until it arrives, fails or goes; then no more.

    Ends as well after `timeout_s` seconds: look at the last one with
    `control.has_arrived`. A service that was unregistered and is gone ends it too.
    """
    watch = Watch(service_id, timeout_s)
    while True:
        progress = watch.look()
        if progress is not None and progress.service is not None:
            yield progress.service
        pause_s = watch.pause_s()
        if pause_s is None or (progress is not None and progress.is_final):
            return
        sleep(pause_s)


def _see(service: Service | None) -> Progress:
    if service is None:
        return Progress(None)
    if service.unregistered_at is not None:
        return Progress(service, is_leaving=True)
    return Progress(
        service,
        has_arrived=control.has_arrived(service),
        has_failed=control.has_failed(service),
    )
