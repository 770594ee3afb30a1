"""Close codes that servers send to clients that were in: seen by a real browser.

Those that refuse a client at once are in `test_access.py`.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser, Page

from agents.runtime.database import DatabaseThreads
from tests.databases import fresh_database
from tests.runners import ROOT, Runner
from tests.services.measured import add_service
from tests.sites import Site, url_of_test_database

from .conftest import PATIENCE_MS

STALLED_S = 120.0

ODD = ROOT / "tests" / "agent_files" / "odd.py"

CONNECT = """(path) => new Promise((begun) => {
  const socket = new WebSocket(path);
  window.ended = new Promise((end) => { socket.onclose = ({ code }) => { end(code); begun(); }; });
  socket.onopen = () => socket.send(JSON.stringify({ event: "user.create_session" }));
  socket.onmessage = ({ data }) => {
    if (JSON.parse(data).event === "agent.session_created") begun();
  };
})"""
"""Begins a conversation; `ended` will be the close code."""

HANG = """async () => {
  const stream = new WebSocketStream(`ws://${location.host}/`);
  const { readable, writable } = await stream.opened;
  const reader = readable.getReader();
  const writer = writable.getWriter();
  const send = (frame) => writer.write(JSON.stringify(frame));
  const next = async () => {
    const { done, value } = await reader.read();
    return done ? null : JSON.parse(value);
  };
  await send({ event: "user.create_session" });
  let frame;
  do frame = await next(); while (frame.event !== "agent.session_created");
  const { session_id } = frame;
  // The answers are more than all the buffers on the way hold. What the server has not read when it
  // closes would cost the close frame, so the questions are short.
  for (let number = 0; number < 80; number += 1) {
    const metadata = { message_id: `m${number}` };
    await send({ event: "user.message", session_id, content: "writes 80", metadata });
  }
  window.readOn = async () => {
    for (let last = frame; ; last = frame) {
      frame = await next().catch(() => null);
      if (frame === null) return [(await stream.closed).closeCode, last.metadata.code];
    }
  };
}"""
"""Asks for much, and reads nothing of the answers until `readOn`, as a page that hangs."""


async def blank_page(browser: Browser, address: str) -> Page:
    """A page of the server that connects to nothing, though its policy forbids it to."""
    context = await browser.new_context(bypass_csp=True)
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    await page.goto(health_of(address))
    return page


def health_of(address: str) -> str:
    """`address`: of a server, for either kind of request."""
    return f"http{address.partition(':')[1]}{address.partition(':')[2]}health"


async def until_nobody_is_connected(runner: Runner) -> None:
    async with asyncio.timeout(STALLED_S), aiohttp.ClientSession() as client:
        while True:
            async with client.get(health_of(runner.url)) as answer:
                if (await answer.json())["active_connections"] == 0:
                    return
            await asyncio.sleep(0.05)


async def test_a_page_that_does_not_read_is_told_so_at_last(
    browser: Browser, tmp_path: Path
) -> None:
    env = {"MYAGENT_OUTBOX_CHARACTERS": "65536", "MYAGENT_SLOW_CLIENT_S": "0.5"}
    with fresh_database(tmp_path) as url, Runner(ODD, url, tmp_path, env=env) as runner:
        page = await blank_page(browser, runner.url)
        await page.evaluate(HANG)
        await until_nobody_is_connected(runner)
        assert await page.evaluate("readOn()") == [4008, "slow_client"]
        await page.context.close()


async def test_a_page_is_sent_away_by_a_server_that_leaves(
    browser: Browser, tmp_path: Path
) -> None:
    with fresh_database(tmp_path) as url, Runner(ODD, url, tmp_path) as runner:
        page = await blank_page(browser, runner.url)
        await page.evaluate(CONNECT, "/")
        runner.signal(signal.SIGTERM)
        assert await page.evaluate("ended") == 4012
        await page.context.close()


@pytest.mark.django_db(transaction=True)
async def test_a_page_is_sent_away_from_a_service_that_takes_nobody(
    browser: Browser, tmp_path: Path
) -> None:
    database = DatabaseThreads()
    await database.run(lambda: add_service("far", agent_factory_path="", url="ws://127.0.0.1:9/"))
    await database.stop()
    with Site(url_of_test_database(), tmp_path) as site:
        page = await blank_page(browser, f"{site.url}/")
        await page.evaluate(CONNECT, "/services/far/")
        assert await page.evaluate("ended") == 4013
        await page.context.close()
