"""Ports to listen on: what is typed, and what can't be had, in sentences."""

from __future__ import annotations

import argparse
import socket

from django.core.management.base import CommandError
from django.utils.translation import gettext


def port_number(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(
            gettext("'{text}' is not a port: give a number up to 65535.").format(text=text)
        )
    return int(text)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `CommandError`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # 'localhost' may mean ::1 first; programs expect 127.0.0.1 at least.
        family, _, _, _, address = min(found, key=lambda info: info[0])
        listener = socket.create_server(address[:2], family=family, backlog=2048)
        # Accepted sockets inherit it: small frames must not wait for each other.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except (socket.gaierror, UnicodeError) as error:
        raise CommandError(
            gettext("There is no address '{host}' on this machine.").format(host=host)
        ) from error
    except PermissionError as error:
        raise CommandError(
            gettext("Port {port} needs more rights; choose one above 1023.").format(port=port)
        ) from error
    except OSError as error:
        raise CommandError(
            gettext(
                "Port {port} on {host} is in use or can't be used: stop what listens there, or "
                "choose another with --port."
            ).format(port=port, host=host)
        ) from error
