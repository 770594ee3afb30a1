"""Waits until a service reaches the requested state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from myagent.manager import verbs
from myagent.manager.errors import NotArrived, ServiceFailed, StillWorking
from myagent.manager.storage.models import ServiceInfo
from myagent.manager.verbs import Look

WAIT_S = 120.0
"""The default time to wait, in seconds."""

Run = Callable[..., Awaitable[Any]]


def seconds(wait: bool | float) -> float:
    """How long: True is the usual time."""
    return WAIT_S if wait is True else float(wait)


async def until_arrived(run: Run, asked: ServiceInfo, timeout_s: float) -> ServiceInfo:
    """The service once what was `asked` of it is observed. Raises `NotArrived`.

    `run` carries out a verb. Cancelling is safe: what was asked still holds.
    """
    looking = _Looking(run, asked, timeout_s)
    while True:
        look = await looking.next()
        if look.service is None:
            raise NotArrived(f"{asked.name} was unregistered meanwhile.", None)
        if look.is_leaving or look.service.desired != asked.desired:
            raise NotArrived(
                f"Somebody has requested something else for {asked.name} meanwhile.", look.service
            )
        if look.has_arrived:
            return look.service
        if look.has_failed:
            raise ServiceFailed(f"{asked.name} failed: {look.service.error_message}", look.service)


async def until_gone(run: Run, asked: ServiceInfo, timeout_s: float) -> None:
    """Returns once the service is off the list. Raises `NotArrived`."""
    looking = _Looking(run, asked, timeout_s)
    while (await looking.next()).service is not None:
        pass


class _Looking:
    """Reads a service after every change."""

    def __init__(self, run: Run, asked: ServiceInfo, timeout_s: float) -> None:
        self._run = run
        self._asked = asked
        self._timeout_s = timeout_s
        self._watch = verbs.watch(asked.service_id, timeout_s)
        self._last: Look | None = None

    async def next(self) -> Look:
        """Its state after the next change. Raises `StillWorking` when the time is over."""
        while True:
            look: Look | None = await self._run(verbs.look, self._watch)
            if look is not None:
                self._last = look
                return look
            pause_s = self._watch.pause_s()
            if pause_s is None:
                raise self._too_late()
            await asyncio.sleep(pause_s)

    def _too_late(self) -> StillWorking:
        service = (self._last and self._last.service) or self._asked
        sentence = (
            f"{service.name} has not got there after {self._timeout_s:g} seconds: it is "
            f"{service.status}. It is still in progress. {service.error_message}"
        )
        return StillWorking(sentence.rstrip(), service)
