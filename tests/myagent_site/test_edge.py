"""What stands before the site's pages: whose requests come in, and how large they may be."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from myagent_site.bodies import LINGER_BYTES, SMALL_BODY, BoundedBodies, Held
from myagent_site.guard import Guard

Messages = list[dict[str, Any]]
LIMIT = 1000


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the size of the body; says nothing to who has gone."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps({"size": size}).encode()})


async def ask(
    app: Any,
    method: str = "POST",
    *,
    headers: dict[str, str] | None = None,
    more: tuple[tuple[bytes, bytes], ...] = (),
    chunks: tuple[bytes, ...] = (b"",),
) -> tuple[int, dict[str, Any], int]:
    """The status, the answer, and how many bytes of the body were read."""
    lines = {"host": "localhost:8000"} | (headers or {})
    scope = {
        "type": "http",
        "method": method,
        "path": "/",
        "server": ("127.0.0.1", 8000),
        "headers": [*((name.encode(), value.encode()) for name, value in lines.items()), *more],
    }
    sent: Messages = []
    waiting = list(chunks)
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        body = waiting.pop(0)
        read += len(body)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"]), read


@pytest.fixture(autouse=True)
def limit(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = LIMIT
    settings.MYAGENT_ALLOWED_ORIGINS = ["https://app.example.com"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "BREW"])
@pytest.mark.parametrize(
    ("headers", "may_enter"),
    [
        ({}, True),
        ({"origin": "http://localhost:8000"}, True),
        ({"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}, True),
        ({"origin": "https://app.example.com", "sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"origin": "http://localhost:3000"}, False),
        ({"origin": "http://127.0.0.1:8000"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"host": "evil.example", "origin": "http://evil.example"}, False),
    ],
)
async def test_only_programs_own_pages_and_listed_origins_may_change_anything(
    method: str, headers: dict[str, str], may_enter: bool
) -> None:
    status, answer, _ = await ask(Guard(application), method, headers=headers)
    assert status == (200 if may_enter else 403)
    assert may_enter or answer["code"] == "forbidden"


async def test_a_request_has_one_host() -> None:
    second = ((b"Host", b"evil.example"),)
    status, answer, _ = await ask(Guard(application), "GET", more=second)
    assert (status, answer["code"]) == (403, "forbidden")


async def test_who_is_refused_hears_why_in_the_language_asked_for() -> None:
    headers = {"host": "evil.example", "accept-language": "zh-CN,zh;q=0.9"}
    _, answer, _ = await ask(Guard(application), headers=headers)
    assert answer["detail"] == "不允许从该地址或页面使用本站点。"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_any_page_may_ask_for_what_its_browser_keeps_from_it(method: str) -> None:
    headers = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert (await ask(Guard(application), method, headers=headers))[0] == 200


@pytest.mark.parametrize("chunks", [(b"x" * LIMIT,), (b"x" * 600, b"x" * 400), (b"",)])
async def test_a_body_within_the_limit_comes_through(chunks: tuple[bytes, ...]) -> None:
    status, answer, _ = await ask(BoundedBodies(application), chunks=chunks)
    assert (status, answer) == (200, {"size": sum(map(len, chunks))})


@pytest.mark.parametrize("chunks", [(b"x" * (LIMIT + 1),), (b"x" * 600, b"x" * 401, b"x" * 500)])
async def test_a_body_that_grows_above_the_limit_is_refused(chunks: tuple[bytes, ...]) -> None:
    status, answer, read = await ask(BoundedBodies(application), chunks=chunks)
    assert (status, answer["code"]) == (413, "too_large")
    assert read == sum(map(len, chunks)), "a client that looks for an answer at the end gets one"


@pytest.mark.parametrize("length", [str(LIMIT + 1), "9" * 400, "-1", "many"])
async def test_a_body_announced_as_too_large_never_reaches_the_site(length: str) -> None:
    async def never(*_: Any) -> None:
        raise AssertionError("it was asked")

    status, answer, _ = await ask(BoundedBodies(never), headers={"content-length": length})
    assert (status, answer["code"]) == (413, "too_large")


async def test_a_body_announced_as_too_large_is_refused_before_it_is_read() -> None:
    sent: Messages = []
    sent_before: list[bytes] = []

    async def receive() -> dict[str, Any]:
        sent_before.append(b"".join(message.get("body", b"") for message in sent))
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-length", str(LIMIT + 1).encode())]
    await BoundedBodies(application)({"type": "http", "headers": headers}, receive, send)
    assert json.loads(sent_before[0])["code"] == "too_large"
    assert not sent[-1].get("more_body", False)


async def test_a_refused_body_is_not_read_for_ever() -> None:
    chunk = b"x" * (LINGER_BYTES // 4)
    _, _, read = await ask(BoundedBodies(application), chunks=(chunk,) * 100)
    assert read < 2 * LINGER_BYTES


class Upload:
    """A body of which a part has arrived."""

    def __init__(self, app: Any, size: int) -> None:
        self._parts = [b"x" * size]
        self._ends = asyncio.get_running_loop().create_future()
        self.is_held = asyncio.Event()
        self.sent: Messages = []
        scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
        self.task = asyncio.get_running_loop().create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if self._parts:
            return {"type": "http.request", "body": self._parts.pop(), "more_body": True}
        self.is_held.set()
        message: dict[str, Any] = await self._ends
        return message

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    async def end(self, kind: str = "http.request") -> None:
        self._ends.set_result({"type": kind, "body": b""})
        await self.task


@pytest.mark.parametrize("end", ["http.request", "http.disconnect"])
async def test_a_process_holds_so_much_of_all_bodies_and_refuses_the_newest(
    settings: Any, end: str
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = size = 4 * SMALL_BODY
    app = BoundedBodies(application, held := Held(most=3 * size))
    first = [Upload(app, size) for _ in range(3)]
    for upload in first:
        await upload.is_held.wait()
    newest = Upload(app, size)
    await newest.is_held.wait()
    assert held.size == 3 * size, "what is refused is not held"
    await newest.end()
    assert newest.sent[0]["status"] == 503
    assert (b"connection", b"close") in newest.sent[0]["headers"]
    assert json.loads(newest.sent[1]["body"])["code"] == "overloaded"
    assert (await ask(app, chunks=(b"x" * SMALL_BODY,)))[0] == 200, "a small one is not refused"
    for upload in first:
        await upload.end(end)
    assert held.size == 0
    assert (await ask(app, chunks=(b"x" * size,)))[0] == 200


async def test_a_refused_body_that_does_not_end_is_not_waited_for(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = size = 4 * SMALL_BODY
    monkeypatch.setattr("myagent_site.bodies.LINGER_S", 0.01)
    endless = Upload(BoundedBodies(application, Held(most=0)), size)
    await endless.task
    assert endless.sent[0]["status"] == 503
