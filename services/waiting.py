"""Waiting until a service reaches the requested state: its state, and when to read again.

Each waiter sleeps in its own way: `follow` is for synchronous programs, `services.rest.waiting` for
requests, `myagent.manager.waiting` for programs with an event loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from services import control, doorbell
from services.models import Service


@dataclass(frozen=True, slots=True)
class Progress:
    """`service`: None once it is deleted.

    A service that is being unregistered neither arrives nor fails.
    """

    service: Service | None
    is_leaving: bool = False
    has_arrived: bool = False
    has_failed: bool = False

    @property
    def is_final(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.service is None or self.has_arrived or self.has_failed


class Watch:
    """Belongs to one waiter. Synchronous, in any thread; an abandoned call is harmless.

    `timeout_s`: seconds from now after which it does not read again.
    """

    def __init__(self, service_id: str, timeout_s: float) -> None:
        self._service_id = service_id
        self._deadline = time.monotonic() + timeout_s
        self._heard: doorbell.Revision | None = None

    def look(self) -> Progress | None:
        """The service as it is now; None if no bell rang since the last read."""
        # The bell is read before the service: changes in between ring again.
        revision = doorbell.revision()
        if revision == self._heard:
            return None
        progress = _see(Service.objects.filter(pk=self._service_id).first())
        self._heard = revision
        return progress

    def pause_s(self) -> float | None:
        """Seconds to sleep until the next read; None when the time is over."""
        left_s = self._deadline - time.monotonic()
        return min(doorbell.LOOK_S, left_s) if left_s > 0 else None


def follow(service_id: str, timeout_s: float, sleep: Callable[[float], None]) -> Iterator[Service]:
    """Yields the service at every change until it arrives, fails or is deleted.

    Also ends after `timeout_s` seconds: check the last one with `control.has_arrived`. A service
    that was unregistered and is gone ends it too.
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
        # An external one is open to clients, or closed, at once: nobody here makes it run.
        has_arrived=service.is_external or control.has_arrived(service),
        has_failed=control.has_failed(service),
    )
