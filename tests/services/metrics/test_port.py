"""Of several servers one has the port of the metrics; the others wait for it without a word."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from agents.runtime.database import DatabaseThreads
from services.metrics.port import MetricsPort
from tests.ports import free_port, until_open

HOST = "127.0.0.1"
NO_DATABASE = cast(DatabaseThreads, None)


@pytest.fixture
def port(settings: Any) -> int:
    settings.MYAGENT_METRICS_HOST, settings.MYAGENT_METRICS_PORT = HOST, free_port()
    return int(settings.MYAGENT_METRICS_PORT)


@pytest.fixture
def said() -> Iterator[list[Any]]:
    with capture_logs() as said:
        yield said


def events(said: list[Any]) -> list[str]:
    return [each["event"] for each in said]


async def serve_for_a_moment(waiting: MetricsPort, port: int) -> None:
    serving = asyncio.create_task(waiting.serve(NO_DATABASE))
    await asyncio.to_thread(until_open, port)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


async def test_a_port_in_use_is_said_once_however_often_it_is_tried(
    port: int, said: list[Any]
) -> None:
    waiting = MetricsPort()
    with closing(socket.create_server((HOST, port))):
        for _ in range(3):
            await waiting.serve(NO_DATABASE)
    assert events(said) == ["metrics_port_in_use"]


async def test_one_that_had_the_port_says_again_that_it_is_in_use(
    port: int, said: list[Any]
) -> None:
    waiting = MetricsPort()
    with closing(socket.create_server((HOST, port))):
        await waiting.serve(NO_DATABASE)
    await serve_for_a_moment(waiting, port)
    with closing(socket.create_server((HOST, port))):
        for _ in range(2):
            await waiting.serve(NO_DATABASE)
    assert events(said) == ["metrics_port_in_use", "metrics_at", "metrics_port_in_use"]
