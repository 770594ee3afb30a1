"""Requests to the site's own ASGI application, guard and all, from wherever a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from myagent_site.asgi import application

API = "/api/v1"
HOST = "localhost:8000"
CSRF = "c" * 32


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """What an error says to programs. Every error has a sentence for people too."""
        assert isinstance(self.json["detail"], str) and self.json["detail"]
        code: str = self.json["code"]
        return code


@dataclass
class Client:
    """A program on this machine, unless told otherwise."""

    host: str = HOST
    peer: str = "127.0.0.1"
    server: str = "127.0.0.1"
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.ask("POST", path, body, **headers)

    def put(self, path: str, body: Any = None) -> Answer:
        return self.ask("PUT", path, body)

    def patch(self, path: str, body: Any = None) -> Answer:
        return self.ask("PATCH", path, body)

    def delete(self, path: str) -> Answer:
        return self.ask("DELETE", path)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return asyncio.run(self.ask_async(method, path, body, **headers))

    async def ask_async(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """`body`: JSON, or bytes as they are. `headers`: with underscores for dashes."""
        content = body if isinstance(body, bytes) else b"" if body is None else _dumped(body)
        own = {"content-type": "application/json"} if content else {}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        lines = {"host": self.host, "content-length": str(len(content))}
        lines |= own | self.headers | given
        return await _exchange(self._scope(method, path, lines), [content])

    async def stream(self, method: str, path: str, chunks: Sequence[bytes]) -> Answer:
        """A body in chunks, whose length nobody announces."""
        lines = {"host": self.host, "content-type": "application/json"} | self.headers
        return await _exchange(self._scope(method, path, lines), list(chunks))

    def _scope(self, method: str, path: str, lines: dict[str, str]) -> dict[str, Any]:
        path, _, query = path.partition("?")
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path if path.startswith("/") else f"{API}/{path}",
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), text.encode()) for name, text in lines.items()],
            "client": (self.peer, 50000),
            "server": (self.server, 8000),
        }


def _dumped(body: Any) -> bytes:
    return json.dumps(body).encode()


async def _exchange(scope: dict[str, Any], chunks: list[bytes]) -> Answer:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if chunks:
            body = chunks.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(chunks)}
        await asyncio.Event().wait()  # A client that waits for its answer.
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    headers = {name.decode().lower(): text.decode() for name, text in sent[0]["headers"]}
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], headers, body)
