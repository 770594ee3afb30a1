"""Ports that are asked for: the event loop goes on meanwhile, and a refusal is a sentence."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

import pytest
from django.core.management.base import CommandError

from agents.runtime.listening import CannotListen, listen, listen_meanwhile
from agents.runtime.server import Server, configuration, new_event_loop
from tests.ports import free_port


async def test_the_event_loop_goes_on_while_a_name_is_looked_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look_up, is_found = socket.getaddrinfo, threading.Event()

    def slowly(*args: Any, **options: Any) -> Any:
        assert is_found.wait(30), "the event loop waits for the name"
        return look_up(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    listening = asyncio.create_task(listen_meanwhile("localhost", 0))
    await asyncio.sleep(0)
    is_found.set()
    with contextlib.closing(await listening) as listener:
        assert listener.getsockname()[1] > 0


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "no such host"])
async def test_a_host_that_means_nothing_here_is_said_to_be_none(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        host.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(CommandError, match="There is no address"):
        listen(host, 0)
    with pytest.raises(CannotListen, match="There is no address") as refused:
        await listen_meanwhile(host, 0)
    assert refused.value.said.values == {"host": host}


async def test_a_port_that_others_have_is_said_to_be_in_use() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotListen, match=f"Port {port} on 127.0.0.1 is in use"):
            await listen_meanwhile("127.0.0.1", port)


def test_a_number_that_no_port_has_is_refused_like_any_other() -> None:
    with pytest.raises(CommandError) as refused:
        listen("127.0.0.1", 70_000)
    assert refused.type is CommandError


def test_connections_are_refused_until_a_server_serves() -> None:
    with contextlib.closing(listen("127.0.0.1", 0)) as listener:
        address = listener.getsockname()[:2]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=30)
        listener.listen()
        socket.create_connection(address, timeout=30).close()


def test_of_two_that_have_a_port_the_slower_one_says_that_it_is_in_use() -> None:
    """On the event loop that servers have."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        pytest.fail("nobody connects")

    async def leave() -> None:
        """There is nothing to leave."""

    def ready() -> None:
        pytest.fail("it does not serve")

    with contextlib.closing(listen("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with contextlib.closing(listen("127.0.0.1", port)) as second:
            first.listen()
            config = configuration(application, is_debug=False)
            server = Server(config, ready=ready, leave=leave)
            in_use = f"Port {port} on 127.0.0.1 is in use"
            with (
                pytest.raises(CommandError, match=in_use),
                asyncio.Runner(loop_factory=new_event_loop) as loop,
            ):
                loop.run(server.serve(sockets=[second]))
