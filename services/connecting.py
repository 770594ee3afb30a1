"""Closing clients' connections: called by every interface. Synchronous."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from agents.sockets import register
from services.errors import UnknownConnection


def close(connection_id: str) -> None:
    """Asks the connection's server to close it, which takes a second at most.

    Raises `UnknownConnection`.
    """
    if not (connection_id.isprintable() and register.ask_to_close(connection_id)):
        raise UnknownConnection(
            "unknown_connection",
            gettext_noop("There is no open connection '{id}'."),
            id=connection_id[:36],
        )
