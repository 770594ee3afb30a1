"""Tells all processes of the site, through the channel layer, to read the database now.

A ring may be missed, and so may words that are sent with one: listeners also poll, only less often.
Without Redis nothing rings, and all processes poll at their usual interval.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.db import transaction

from agents.runtime import background
from agents.runtime.limits import Seldom

logger = structlog.get_logger(__name__)

RARELY_S = 1.0
"""Seconds between two polls of a listener that hears the bell."""

RING_S = 1.0
"""Seconds that a ring may take in the channel layer: polling makes up for a missed one."""

REJOIN_S = 600.0
"""Seconds after which a listener joins its group again: the layer's memberships expire."""

AGAIN_S = 1.0
"""Seconds after which a channel layer that failed is tried again."""

LOST_S = 0.1
"""Seconds after which a cancelled listener that goes on is cancelled again."""

SILENCE_S = 5.0
"""Seconds of silence after which Redis is asked for a sign of life, and that it may take.

What lies between may drop an idle connection without a word to either end.
"""

_failures = Seldom(pause_s=30.0, at_once=2)

_unheard: set[tuple[Bell, str]] = set()
"""What this process's bells listen to in vain just now."""


def ring(name: str) -> None:
    """Rings once the present transaction is committed. Synchronous; never raises."""
    if is_shared():
        transaction.on_commit(lambda: async_to_sync(ring_now)(name))


async def ring_now(name: str) -> None:
    """Rings at once; never raises."""
    try:
        async with asyncio.timeout(RING_S):
            await get_channel_layer().group_send(name, {"type": "bell.rung"})
    except Exception as error:
        # Redis errors belong to a package that may not be installed.
        _tell("bell_not_rung", name, error)


async def send_words(name: str, words: dict[str, Any]) -> int:
    """Sends words to those who listen, past the channel layer's queues, which take a dozen steps
    for a message. Returns how many listeners got them; never raises.

    They may be lost, as a ring may: nothing may depend on them.
    """
    try:
        async with asyncio.timeout(RING_S):
            layer = get_channel_layer()
            heard: int = await layer.connection(0).publish(_topic(name), layer.serialize(words))
    except Exception as error:
        _tell("bell_not_rung", name, error)
        return 0
    return heard


class Bell:
    """Calls `on_ring`, on the event loop, whenever `name` is rung anywhere.

    Words that are sent with a ring call `on_words` instead.
    """

    def __init__(
        self,
        name: str,
        on_ring: Callable[[], None],
        on_words: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._name = name
        self._on_ring = on_ring
        self._on_words = on_words
        self._heard: set[str] = set()
        """What is listened to just now: rings, words."""
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Starts to listen. May be called twice."""
        if self._tasks or not is_shared():
            return
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._listen("rings", self._hear)))
        if self._on_words is not None:
            hear_words = partial(self._hear_words, self._on_words)
            self._tasks.append(loop.create_task(self._listen("words", hear_words)))

    async def stop(self) -> None:
        """May be called twice."""
        tasks, self._tasks = self._tasks, []
        self._heard.clear()
        _unheard.difference_update({(self, "rings"), (self, "words")})
        if tasks:
            for task in tasks:
                task.cancel()
            # In Python 3.11 a cancellation is lost where it comes just when the client of Redis has
            # sent something (asyncio.wait_for): one that goes on is cancelled once more.
            await asyncio.wait(tasks, timeout=LOST_S)
            await background.end(tasks)

    def pause_s(self, usual_s: float) -> float:
        """Seconds until the next poll of a process that polls every `usual_s` without a bell."""
        is_heard = self._tasks and len(self._heard) == len(self._tasks)
        return max(usual_s, RARELY_S) if is_heard else usual_s

    async def _listen(self, what: str, hear: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await hear()
            except Exception as error:
                if self._tasks:
                    _unheard.add((self, what))
                _tell("bell_not_heard", self._name, error)
            self._heard.discard(what)
            await asyncio.sleep(AGAIN_S)

    async def _hear(self) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        while True:
            await layer.group_add(self._name, channel)
            self._note_heard("rings")
            try:
                async with asyncio.timeout(REJOIN_S):
                    while True:
                        await layer.receive(channel)
                        self._on_ring()
            except TimeoutError:
                continue

    async def _hear_words(self, on_words: Callable[[dict[str, Any]], None]) -> None:
        layer = get_channel_layer()
        async with layer.connection(0).pubsub() as topic:
            await topic.subscribe(_topic(self._name))
            async for message in _messages(topic):
                if message["type"] == "subscribe":
                    self._note_heard("words")
                elif message["type"] == "message":
                    on_words(layer.deserialize(message["data"]))

    def _note_heard(self, what: str) -> None:
        self._heard.add(what)
        _unheard.discard((self, what))
        # A ring may have been sent before this process listened.
        self._on_ring()


def _tell(event: str, name: str, error: Exception) -> None:
    """Seldom: while Redis is away, every bell fails every second."""
    if (left_out := _failures.take()) is not None:
        hint = "Redis (REDIS_URL) does not answer: processes poll the database meanwhile"
        logger.warning(event, bell=name, error=repr(error), left_out=left_out, hint=hint)


async def _messages(topic: Any) -> AsyncIterator[dict[str, Any]]:
    """All that Redis sends. Raises `TimeoutError` if it doesn't answer a ping either."""
    is_asked = False
    while True:
        message = await topic.get_message(timeout=SILENCE_S)
        if message is not None:
            is_asked = False
            yield message
        elif is_asked:
            raise TimeoutError("Redis does not answer.")
        else:
            await topic.ping()
            is_asked = True


def _topic(name: str) -> str:
    return f"{get_channel_layer().prefix}.words.{name}"


def hears_all() -> bool:
    """Whether this process hears whatever it listens to; also if that is nothing."""
    return not _unheard


def is_shared() -> bool:
    """Whether other processes hear what is sent to the channel layer."""
    return not isinstance(get_channel_layer(), InMemoryChannelLayer)
