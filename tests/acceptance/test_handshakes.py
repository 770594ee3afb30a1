"""Handshakes that no browser sends: answered at once, and holding up nothing."""

from __future__ import annotations

import asyncio

import pytest

from tests.recording import Recorder
from tests.runners import Runner

from .conftest import Serve

PATIENCE_S = 20.0

LONG_LINE = "X-Long: " + "x" * 8_200
MANY_HEADERS = "\r\n".join(f"X-{number}: x" for number in range(140))


async def answer_to(runner: Runner, *lines: str) -> bytes:
    """All that a handshake with these lines is answered with, up to the end of the connection."""
    head = (
        "GET / HTTP/1.1",
        f"Host: 127.0.0.1:{runner.port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.port)
    writer.write("".join(f"{line}\r\n" for line in (*head, *lines, "")).encode())
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("lines", [LONG_LINE, MANY_HEADERS], ids=["a long line", "many headers"])
async def test_a_handshake_that_is_too_large_is_refused_and_does_not_keep_the_runner(
    serve: Serve, lines: str
) -> None:
    runner = serve("odd.py")
    answer = await answer_to(runner, lines)
    status = answer.split(b"\r\n", 1)[0].split(b" ")[1]
    assert status in (b"400", b"414", b"431"), answer
    assert await asyncio.to_thread(runner.stop) == 0
    assert "Traceback" not in "".join(runner.log)


async def test_a_page_from_a_file_comes_in_with_the_token_that_the_start_prints(
    serve: Serve,
) -> None:
    runner = serve("odd.py")
    # It is printed right after the line that the fixture waits for.
    token = (await asyncio.to_thread(runner.wait_for_log, "?token=")).rpartition("?token=")[2]
    async with await Recorder.open(f"{runner.url}?token={token.strip()}", origin="null"):
        pass
    for wrong in ("", "?token=", f"?token={token.strip()[:-1]}"):
        async with await Recorder.dial(runner.url + wrong, origin="null") as page:
            problem = await page.error("forbidden")
            assert "token" in problem["content"]
            assert await page.read_to_close() == 4003
    # It is only for pages opened from a file.
    other = f"{runner.url}?token={token.strip()}"
    async with await Recorder.dial(other, origin="https://evil.example") as page:
        assert await page.read_to_close() == 4003
