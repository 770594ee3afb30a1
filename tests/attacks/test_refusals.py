"""What the server itself refuses, before the site is asked, is as safe as the site's answers."""

from __future__ import annotations

import asyncio
import re

import pytest

from agents.runtime.http.safe_headers import SAFE_HEADERS
from tests.runners import Runner

HOST = b"Host: localhost\r\n"
UPGRADE = b"GET / HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
KEY = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
END = b"Connection: close\r\n\r\n"
PATIENCE_S = 30.0

REQUESTS = {
    "no request": (400, b"NONSENSE\r\n\r\n"),
    "two lengths": (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n" * 2 + b"\r\nxx"),
    "a length and chunks": (
        400,
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    "another site's name": (403, b"GET / HTTP/1.1\r\nHost: evil.example\r\n" + END),
    "two hosts": (403, b"GET / HTTP/1.1\r\n" + HOST + HOST + END),
    "no host": (403, b"GET / HTTP/1.1\r\n" + END),
    "another site's page": (
        403,
        b"POST /login/ HTTP/1.1\r\n" + HOST + b"Origin: https://evil.example\r\n" + END,
    ),
    "nothing there": (404, b"GET /nothing HTTP/1.1\r\n" + HOST + END),
    "a file outside": (404, b"GET /static/../../manage.py HTTP/1.1\r\n" + HOST + END),
    "an encoded one": (404, b"GET /static/%2e%2e/%2e%2e/manage.py HTTP/1.1\r\n" + HOST + END),
    "an absolute one": (404, b"GET /static//etc/passwd HTTP/1.1\r\n" + HOST + END),
    "a zero in a name": (404, b"GET /static/js/a%00.js HTTP/1.1\r\n" + HOST + END),
    "a method": (405, b"PUT / HTTP/1.1\r\n" + HOST + END),
    "a body too large": (
        413,
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999\r\n" + END,
    ),
    "an address too long": (414, b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n" + HOST + END),
    "headers too long": (431, b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n" + HOST + END),
    "a file": (200, b"GET /static/js/myagent.js HTTP/1.1\r\n" + HOST + END),
    "a file that is known": (
        304,
        b"GET /static/js/myagent.js HTTP/1.1\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"
        b"\r\n" + HOST + END,
    ),
}


async def ask(port: int, request: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """The status, the headers with names in lower case, and the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(PATIENCE_S):
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").rstrip().split("\r\n")
            pairs = (line.partition(":") for line in lines)
            headers = [(name.lower(), value.strip()) for name, _, value in pairs]
            # Of a body that is refused, the rest is still waited for.
            body = await reader.readexactly(int(dict(headers).get("content-length", "0")))
    finally:
        writer.close()
    return int(first.split(" ")[1]), headers, body


@pytest.mark.parametrize("kind", REQUESTS)
async def test_every_answer_is_safe_in_a_browser_and_names_no_version(
    runner: Runner, kind: str
) -> None:
    status, request = REQUESTS[kind]
    found, headers, body = await ask(runner.port, request)
    assert found == status
    safe = {name.decode() for name, _ in SAFE_HEADERS}
    assert sorted(name for name, _ in headers if name in safe) == sorted(safe)
    _assert_tells_nothing(headers, body)


@pytest.mark.parametrize(
    "handshake",
    [
        UPGRADE + b"Sec-WebSocket-Version: 13\r\n\r\n",
        UPGRADE + KEY + b"Sec-WebSocket-Version: 99\r\n\r\n",
        UPGRADE + b"Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n\r\n",
    ],
    ids=["no key", "another version", "a key too short"],
)
async def test_a_handshake_that_is_none_names_no_version(runner: Runner, handshake: bytes) -> None:
    status, headers, body = await ask(runner.port, handshake)
    assert status in (400, 426)
    _assert_tells_nothing(headers, body)


def _assert_tells_nothing(headers: list[tuple[str, str]], body: bytes) -> None:
    assert "server" not in dict(headers) and "x-powered-by" not in dict(headers)
    if dict(headers).get("content-type", "").startswith("text/javascript"):
        return
    assert not re.search(rb"(?i)uvicorn|django|python|websockets/|traceback|/srv/|/usr/", body)
