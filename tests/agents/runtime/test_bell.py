"""A bell is heard by whoever listens, also after Redis was away; without Redis nothing rings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import sync_to_async
from channels.layers import channel_layers, get_channel_layer
from django.db import transaction

from agents.runtime import bell
from agents.runtime.bell import Bell
from tests.cutting_proxy import CuttingProxy
from tests.servers import Redis

PATIENCE_S = 30.0
NAME = "tested"


def through(url: str, settings: Any) -> None:
    config = {"hosts": [url], "prefix": "tested"}
    backend = "channels_redis.core.RedisChannelLayer"
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": config}}


@pytest.fixture
def shared(redis_server: Redis, settings: Any) -> Iterator[None]:
    through(redis_server.url, settings)
    channel_layers.backends.clear()
    yield
    channel_layers.backends.clear()


class Listener:
    """Counts what it hears, and keeps the words."""

    def __init__(self) -> None:
        self.count = 0
        self.words: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._has_rung = asyncio.Event()
        self.bell = Bell(NAME, self._note, self.words.put_nowait)

    def _note(self) -> None:
        self.count += 1
        self._has_rung.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.count < count:
                self._has_rung.clear()
                await self._has_rung.wait()


@pytest.mark.usefixtures("shared")
@pytest.mark.django_db(transaction=True)
async def test_who_listens_looks_when_it_begins_and_at_every_ring() -> None:
    listener = Listener()
    assert listener.bell.pause_s(0.2) == 0.2
    listener.bell.start()
    try:
        await listener.until(2)  # Once for rings, and once for words.
        assert listener.bell.pause_s(0.2) == bell.RARELY_S
        for count in (3, 4):
            await sync_to_async(bell.ring)(NAME)
            await listener.until(count)
    finally:
        await listener.bell.stop()
    assert listener.bell.pause_s(0.2) == 0.2


@pytest.mark.usefixtures("shared")
@pytest.mark.django_db(transaction=True)
async def test_it_rings_once_what_it_is_about_is_committed() -> None:
    listener = Listener()
    listener.bell.start()
    await listener.until(2)

    def ring_twice() -> None:
        with transaction.atomic():
            bell.ring(NAME)
            with pytest.raises(RuntimeError), transaction.atomic():
                bell.ring(NAME)
                raise RuntimeError("rolled back")

    await sync_to_async(ring_twice)()
    await listener.until(3)
    await sync_to_async(bell.ring)(NAME)
    await listener.until(4)
    await listener.bell.stop()
    assert listener.count == 4


@pytest.mark.usefixtures("shared")
async def test_it_stops_wherever_its_listeners_are() -> None:
    """In Python 3.11 a cancellation can be lost; see `Bell.stop`."""
    for steps in range(40):
        listener = Listener()
        listener.bell.start()
        await listener.until(2)
        for _ in range(steps):
            await asyncio.sleep(0)
        tasks = listener.bell._tasks
        await listener.bell.stop()
        assert all(task.done() for task in tasks), steps


@pytest.mark.usefixtures("shared")
async def test_words_arrive_whole_and_in_order_and_ring_nothing() -> None:
    listener = Listener()
    listener.bell.start()
    await listener.until(2)
    said = [{"number": number, "bytes": b"\0\xff", "text": "é" * 70_000} for number in range(3)]
    for words in said:
        await bell.send_words(NAME, words)
    async with asyncio.timeout(PATIENCE_S):
        heard = [await listener.words.get() for _ in said]
    assert heard == said
    assert listener.count == 2
    await listener.bell.stop()


@pytest.mark.django_db(transaction=True)
async def test_a_redis_that_goes_and_comes_back_costs_nothing_but_time(settings: Any) -> None:
    if not Redis.is_installed():
        pytest.skip("redis-server is not installed")
    with Redis() as server:
        through(server.url, settings)
        channel_layers.backends.clear()
        listener = Listener()
        listener.bell.start()
        await listener.until(2)
        await asyncio.to_thread(server.kill)
        began = time.monotonic()
        await sync_to_async(bell.ring)(NAME)
        assert time.monotonic() - began < 10 * bell.RING_S
        async with asyncio.timeout(PATIENCE_S):
            while listener.bell.pause_s(0.2) != 0.2 or bell.hears_all():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(PATIENCE_S):
            while listener.bell.pause_s(0.2) != bell.RARELY_S:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        assert bell.hears_all()
        before = listener.count
        await sync_to_async(bell.ring)(NAME)
        await listener.until(before + 1)
        await bell.send_words(NAME, {"it": "is back"})
        async with asyncio.timeout(PATIENCE_S):
            assert await listener.words.get() == {"it": "is back"}
        await listener.bell.stop()
    channel_layers.backends.clear()


async def test_words_are_heard_again_after_their_connection_fell_silent(
    redis_server: Redis, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell, "SILENCE_S", 0.1)
    monkeypatch.setattr(bell, "RING_S", 0.1)
    address = urlsplit(redis_server.url)
    assert address.port is not None
    async with CuttingProxy(address.port) as proxy:
        through(address._replace(netloc=f"127.0.0.1:{proxy.port}").geturl(), settings)
        channel_layers.backends.clear()
        listener = Listener()
        listener.bell.start()
        await listener.until(2)
        proxy.silence()
        async with asyncio.timeout(PATIENCE_S):
            while listener.words.empty():
                await bell.send_words(NAME, {"it": "is heard"})
                await asyncio.sleep(0.01)
        await listener.bell.stop()
    channel_layers.backends.clear()


@pytest.mark.usefixtures("shared")
async def test_a_quiet_connection_that_answers_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bell, "SILENCE_S", 0.1)
    redis = get_channel_layer().connection(0)

    async def calls(command: str) -> int:
        statistics = await redis.info("commandstats")
        return int(statistics.get(f"cmdstat_{command}", {"calls": 0})["calls"])

    async def pings_kept() -> int:
        return await calls("ping") - await calls("subscribe")

    before = await pings_kept()
    listener = Listener()
    listener.bell.start()
    async with asyncio.timeout(PATIENCE_S):
        # A connection that is given up is replaced by one that subscribes anew.
        while await pings_kept() < before + 3:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    await listener.bell.stop()


async def test_without_redis_everybody_looks_at_their_usual_pace() -> None:
    listener = Listener()
    listener.bell.start()
    bell.ring(NAME)
    assert listener.bell.pause_s(0.2) == 0.2
    await listener.bell.stop()
    assert listener.count == 0
