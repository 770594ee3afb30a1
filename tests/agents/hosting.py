"""What a consumer finds in its scope, without a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from channels.testing import WebsocketCommunicator

from agents.directory import Listed
from agents.ports import SessionPort
from agents.runtime.database import DatabaseThreads
from agents.sockets.base import SocketConsumer
from agents.sockets.connections import Connections
from agents.sockets.handshake import PRINCIPAL, SERVER, Refusal


@dataclass
class Hosting:
    """A server that lets everybody in."""

    port: SessionPort = cast(SessionPort, None)  # noqa: RUF009 - a type's word alone
    service: str = ""
    database: DatabaseThreads = cast(DatabaseThreads, None)  # noqa: RUF009 - a type's word alone
    connections: Connections = field(default_factory=lambda: Connections("test"))

    async def admit(self, service: str | None) -> Refusal | None:
        return None

    def external(self, service: str | None) -> Listed | None:
        return None


def scope_at(path: str = "/", query: bytes = b"", *, host: Hosting | None = None) -> dict[str, Any]:
    return {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [],
        PRINCIPAL: None,
        SERVER: host or Hosting(),
    }


def visitor(
    dialect: type[SocketConsumer], path: str = "/", *, host: Hosting
) -> WebsocketCommunicator:
    """A client of a consumer, without a network."""
    found = WebsocketCommunicator(dialect.as_asgi(), path)
    found.scope |= scope_at(path, host=host)
    return found
