"""Counts per minute: together where there is Redis, alone where there is none."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from agents.limits import rates as module
from agents.limits.rates import Rates
from agents.runtime import limits
from agents.runtime.background import Background
from tests.cutting_proxy import CuttingProxy
from tests.servers import PrivateServer, Redis

PATIENCE_S = 30.0


@asynccontextmanager
async def running(*urls: str) -> AsyncIterator[list[Rates]]:
    background = Background()
    found = [Rates(url) for url in urls]
    for each in found:
        each.start(background)
    try:
        yield found
    finally:
        await background.stop()
        for each in found:
            await each.stop()


async def until_shared(rates: Rates, *, is_shared: bool = True) -> None:
    async with asyncio.timeout(PATIENCE_S):
        # Redis sends no event.
        while rates.is_shared is not is_shared:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def take(rates: Rates, name: str, per_minute: int) -> int:
    [wait_s] = await rates.take((name, per_minute))
    return wait_s


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no Redis that does not answer."""
    monkeypatch.setattr(module, "COUNT_S", PATIENCE_S)
    monkeypatch.setattr(module, "CONNECT_S", PATIENCE_S)


@pytest.fixture
def own_redis() -> Iterator[PrivateServer]:
    if not Redis.is_installed():
        pytest.skip("redis-server is not installed")
    with Redis() as server:
        yield server


async def test_a_process_without_redis_counts_each_name_alone() -> None:
    rates = Rates()
    assert [await take(rates, "ada", 2) for _ in range(3)] == [0, 0, 30]
    assert await take(rates, "eve", 2) == 0


async def test_only_so_many_names_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REMEMBERED", 2)
    rates = Rates()
    for name in "abcd":
        await take(rates, name, 1)
    assert len(rates._own) == 2


async def test_servers_with_one_redis_count_together(redis_server: PrivateServer) -> None:
    async with running(redis_server.url, redis_server.url) as (one, other):
        await until_shared(one)
        await until_shared(other)
        taken = [await take(each, "ada together", 3) for each in (one, other, one)]
        assert taken == [0, 0, 0]
        for each in (one, other):
            assert 1 <= await take(each, "ada together", 3) <= 60
        assert await take(other, "eve together", 3) == 0


async def test_of_a_large_limit_a_process_takes_several_at_once_and_all_can_be_had(
    redis_server: PrivateServer,
) -> None:
    async with running(redis_server.url, redis_server.url) as (one, other):
        await until_shared(one)
        await until_shared(other)
        # A twentieth is 3: one has two in hand when the other has used up the rest.
        assert await take(one, "ada slowly", 60) == 0
        taken = [await take(other, "ada slowly", 60) for _ in range(58)]
        assert [each > 0 for each in taken] == [False] * 57 + [True]
        assert [await take(one, "ada slowly", 60) > 0 for _ in range(3)] == [False, False, True]


async def test_a_name_that_has_nothing_left_costs_redis_nothing_more(
    own_redis: PrivateServer,
) -> None:
    async with running(own_redis.url) as (rates,):
        await until_shared(rates)
        assert [await take(rates, "ada", 1) > 0 for _ in range(2)] == [False, True]
        os.kill(own_redis.pid, signal.SIGSTOP)
        try:
            assert await take(rates, "ada", 1) > 0
            assert rates.is_shared
        finally:
            os.kill(own_redis.pid, signal.SIGCONT)


@pytest.mark.parametrize("deed", ["freeze", "stop"])
async def test_without_its_redis_a_process_counts_alone_and_says_so_once(
    own_redis: PrivateServer, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    monkeypatch.setattr(module, "CONNECT_AGAIN_S", 0.01)
    async with running(own_redis.url) as (rates,):
        await until_shared(rates)
        monkeypatch.setattr(module, "CONNECT_S", 0.2)
        monkeypatch.setattr(module, "COUNT_S", 0.05)
        with capture_logs() as logs:
            if deed == "freeze":
                os.kill(own_redis.pid, signal.SIGSTOP)
            else:
                own_redis.stop()
            async with asyncio.timeout(PATIENCE_S):
                assert await take(rates, "ada", 1) == 0
            assert not rates.is_shared
            assert await take(rates, "ada", 1) > 0
            assert await take(rates, "eve", 1) == 0
            if deed == "freeze":
                os.kill(own_redis.pid, signal.SIGCONT)
                await until_shared(rates)
        said = [each["event"] for each in logs if each["event"].startswith("limits_")]
        assert said == ["limits_not_shared", *(["limits_shared_again"] * (deed == "freeze"))]


async def test_a_redis_that_was_never_there_is_not_waited_for() -> None:
    listener = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with running(f"redis://127.0.0.1:{port}/0") as (rates,):
        await asyncio.sleep(0)
        taking = take(rates, "ada", 1)
        # It ends without a pause.
        with pytest.raises(StopIteration):
            taking.send(None)
    listener.close()


class HeldBack(CuttingProxy):
    """To Redis. The answer to a count comes once both connections have asked for one."""

    def __init__(self, redis: PrivateServer) -> None:
        super().__init__(redis.port)
        self._asked: set[str] = set()
        self._have_asked = asyncio.Event()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self._asked.update(name for name in ("ada", "shop") if name.encode() in data)
            if len(self._asked) == 2:
                self._have_asked.set()
            writer.write(data)

    async def _deliver(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            # A number: other answers greet a new connection.
            if self._asked and data.startswith(b":"):
                await self._have_asked.wait()
            writer.write(data)


async def test_two_counts_take_the_time_of_one(own_redis: PrivateServer) -> None:
    async with (
        HeldBack(own_redis) as proxy,
        running(f"redis://127.0.0.1:{proxy.port}/0") as (rates,),
    ):
        await until_shared(rates)
        with capture_logs() as logs:
            assert await rates.take(("ada", 1), ("shop", 1)) == [0, 0]
        # Both were answered by Redis.
        assert not [each for each in logs if each["event"] == "limits_not_shared"]


async def test_who_is_above_an_own_limit_takes_nothing_from_others(
    redis_server: PrivateServer,
) -> None:
    async with running(redis_server.url, redis_server.url) as (one, other):
        await until_shared(one)
        await until_shared(other)
        assert await one.take(("flood", 1), ("shop", 3)) == [0, 0]
        for rates in (other, other, one):
            assert [wait_s > 0 for wait_s in await rates.take(("flood", 1), ("shop", 3))] == [True]
        # One for each server that asked, and the one that it has in hand since.
        taken = [await take(other, "shop", 3) for _ in range(3)]
        assert [wait_s > 0 for wait_s in taken] == [False, True, True]
        assert await take(one, "shop", 3) == 0


async def test_a_process_without_redis_counts_in_order_up_to_what_has_none_left() -> None:
    rates = Rates()
    assert await rates.take(("ada", 1), ("shop", 2)) == [0, 0]
    assert await rates.take(("ada", 1), ("shop", 2)) == [60]
    assert await rates.take(("eve", 2), ("shop", 2)) == [0, 0]
    assert await rates.take(("eve", 2), ("shop", 2)) == [0, 30]
    assert await take(rates, "eve", 2) == 30
    assert await rates.take() == []
