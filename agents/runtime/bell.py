"""Tells all processes of the site, through the channel layer, to read the database now.

A ring carries no data and may be missed: listeners also poll, only less often. Without Redis
nothing rings, and all processes poll at their usual interval.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.db import transaction

from agents.runtime import background

logger = structlog.get_logger(__name__)

RARELY_S = 1.0
"""Seconds between two polls of a listener that hears the bell."""

RING_S = 1.0
"""Seconds that a ring may take in the channel layer: polling makes up for a missed one."""

REJOIN_S = 600.0
"""Seconds after which a listener joins its group again: the layer's memberships expire."""

AGAIN_S = 1.0
"""Seconds after which a channel layer that failed is tried again."""


def ring(name: str) -> None:
    """Rings once the present transaction is committed. Synchronous; never raises."""
    if is_shared():
        transaction.on_commit(lambda: async_to_sync(ring_now)(name))


async def ring_now(name: str, words: dict[str, Any] | None = None) -> None:
    """Rings at once; never raises.

    `words` may be lost as well: nothing may depend on them.
    """
    try:
        async with asyncio.timeout(RING_S):
            message = {"type": "bell.rung", **({"words": words} if words else {})}
            await get_channel_layer().group_send(name, message)
    except Exception as error:
        # Redis errors belong to a package that may not be installed.
        logger.warning("bell_not_rung", bell=name, error=repr(error))


class Bell:
    """Calls `on_ring`, on the event loop, whenever `name` is rung anywhere.

    A ring with words calls `on_words` instead.
    """

    def __init__(
        self,
        name: str,
        on_ring: Callable[[], None],
        on_words: Callable[[dict[str, Any]], None] = lambda words: None,
    ) -> None:
        self._name = name
        self._on_ring = on_ring
        self._on_words = on_words
        self._is_heard = False
        self._listening: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts to listen. May be called twice."""
        if self._listening is None and is_shared():
            self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def stop(self) -> None:
        """May be called twice."""
        listening, self._listening = self._listening, None
        self._is_heard = False
        if listening is not None:
            await background.end([listening])

    def pause_s(self, usual_s: float) -> float:
        """Seconds until the next poll of a process that polls every `usual_s` without a bell."""
        return max(usual_s, RARELY_S) if self._is_heard else usual_s

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except Exception as error:
                logger.warning("bell_not_heard", bell=self._name, error=repr(error))
            self._is_heard = False
            await asyncio.sleep(AGAIN_S)

    async def _hear(self) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        while True:
            await layer.group_add(self._name, channel)
            self._is_heard = True
            # A ring may have been sent before this process listened.
            self._on_ring()
            try:
                async with asyncio.timeout(REJOIN_S):
                    while True:
                        words = (await layer.receive(channel)).get("words")
                        if words is None:
                            self._on_ring()
                        else:
                            self._on_words(words)
            except TimeoutError:
                continue


def is_shared() -> bool:
    """Whether other processes hear what is sent to the channel layer."""
    return not isinstance(get_channel_layer(), InMemoryChannelLayer)
