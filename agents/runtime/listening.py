"""Ports to listen on: parsing them, opening them, and sentences for what fails."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError
from django.utils import translation
from django.utils.translation import gettext, gettext_noop

from myagent.sentence import Said

MAX_PORT = 65535

BACKLOG = 2048
"""Connections that may wait to be taken."""

IN_USE = gettext_noop(
    "Port {port} on {host} is in use or can't be used: stop what listens there, or "
    "choose another with --port."
)


class CannotListen(CommandError):
    """The port can't be listened on. `said` gives the reason as a sentence, to be shown later."""

    def __init__(self, template: str, **values: Any) -> None:
        self.said = Said(template, values)
        super().__init__(translation.gettext(template).format(**values))


def port_number(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(
            gettext("'{text}' is not a port: give a number up to 65535.").format(text=text)
        )
    return int(text)


def add_address(parser: argparse.ArgumentParser, port: int) -> None:
    """Adds `--host` and `--port`, whose default is `port`."""
    parser.add_argument(
        "--host", default="localhost", help=gettext("address to listen on (%(default)s)")
    )
    parser.add_argument(
        "--port",
        type=port_number,
        default=port,
        help=gettext("port to listen on (%(default)s; 0 picks a free one)"),
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that has the port, for a command. Blocks while the name is looked up.

    It takes connections once a server serves at it. Before that they are refused, and not kept
    waiting: a proxy in front asks the next server then. Raises `CommandError`.
    """
    try:
        with _in_sentences(host, port):
            return _bound(
                socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            )
    except CannotListen as error:
        # Django prints the name of the class before the sentence.
        raise CommandError(str(error)) from error


async def listen_meanwhile(host: str, port: int) -> socket.socket:
    """One that listens; the event loop goes on while the name is looked up. Cancelling is safe."""
    with _in_sentences(host, port):
        listener = _bound(
            await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        )
        listener.listen(BACKLOG)
        return listener


def take_connections(listener: socket.socket) -> None:
    """Of what `listen` returned. Raises `CommandError` if another program was faster."""
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        host, port = listener.getsockname()[:2]
        sentence = translation.gettext(IN_USE).format(port=port, host=host)
        raise CommandError(sentence) from error


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def _bound(found: Sequence[tuple[Any, ...]]) -> socket.socket:
    # 'localhost' may resolve to ::1 first; programs expect 127.0.0.1 at least.
    family, _, _, _, address = min(found, key=lambda info: info[0])
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Sockets of a former server may linger at the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address[:2])
    except BaseException:
        listener.close()
        raise
    # Accepted sockets inherit it: small frames must not wait for each other.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@contextmanager
def _in_sentences(host: str, port: int) -> Iterator[None]:
    try:
        if port > MAX_PORT:
            # The system would truncate it to 16 bits.
            raise OverflowError(port)
        yield
    except (socket.gaierror, UnicodeError) as error:
        raise CannotListen(
            gettext_noop("There is no address '{host}' on this machine."), host=host
        ) from error
    except PermissionError as error:
        raise CannotListen(
            gettext_noop("Port {port} needs more rights; choose one above 1023."), port=port
        ) from error
    except (OSError, OverflowError) as error:
        raise CannotListen(IN_USE, port=port, host=host) from error
