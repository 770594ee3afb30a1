"""Django's client for tests, with a machine that it asks from."""

from __future__ import annotations

from typing import Any

from django.test import AsyncClient

from agents.serving import ServerProcess
from agents.sockets.handshake import SERVER


class ClientAt(AsyncClient):
    """Asks the site at `host` and port 8000 from `address`."""

    def __init__(self, host: str, server: str, address: str) -> None:
        super().__init__()
        self._host = (b"host", f"{host}:8000".encode())
        self._ends = {"server": (server, 8000), "client": (address, 50000)}

    def _base_scope(self, **request: Any) -> dict[str, Any]:
        scope: dict[str, Any] = super()._base_scope(**request)
        others = [header for header in scope["headers"] if header[0] != b"host"]
        # Servers hand a path on as the text that it is; Django's client as it would to WSGI.
        path = scope["path"].encode("iso-8859-1").decode()
        return scope | self._ends | {"headers": [self._host, *others], "path": path}


class ClientOf(AsyncClient):
    """Asks a server that is not the site's."""

    def __init__(self, server: ServerProcess) -> None:
        super().__init__()
        self._server = server

    def _base_scope(self, **request: Any) -> dict[str, Any]:
        scope: dict[str, Any] = super()._base_scope(**request)
        return scope | {SERVER: self._server}


def at_this_machine() -> AsyncClient:
    return ClientAt("localhost", "127.0.0.1", "127.0.0.1")


def at_another_machine() -> AsyncClient:
    return ClientAt("192.0.2.1", "192.0.2.1", "192.0.2.7")
