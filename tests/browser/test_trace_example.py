"""The React component for traces in examples/frontend, in a real browser, on another origin."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, WebSocket, WebSocketRoute, expect

from tests.browser.conftest import PATIENCE_MS, Serve
from tests.browser.elsewhere import Service, bundle, installed_modules, is_lost, served
from tests.fake_model_control import FakeModelControl
from tests.runners import ROOT
from tests.trace_client import watcher

COMPONENT = ROOT / "examples" / "frontend" / "Traces.jsx"
MAIN = """
import { createRoot } from "react-dom/client"; import Traces from "./Traces.jsx";
const label = new URLSearchParams(location.search).get("label");
createRoot(document.querySelector("#app")).render(<Traces address="ADDRESS" label={label} />);
"""


@pytest.fixture(scope="module")
def service(serve: Serve) -> Iterator[Service]:
    with closing(Service(serve)) as service:
        yield service


@pytest.fixture(scope="module")
def address(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("traces")
    shutil.copy(COMPONENT, folder)
    main = MAIN.replace("ADDRESS", f"ws://127.0.0.1:{service.port}")
    bundle(installed_modules(), folder, main)
    with served(folder) as address:
        yield address


@asynccontextmanager
async def new_page(browser: Browser) -> AsyncIterator[Page]:
    """A page without an error but for a lost server."""
    wrong: list[str] = []
    page = await browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: line.type == "error" and wrong.append(line.text))
    try:
        yield page
    finally:
        await page.close()
    assert [line for line in wrong if "favicon" not in line and not is_lost(line)] == []


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, address: str, nonce: str) -> AsyncIterator[Page]:
    """The page, connected under a label of the test."""
    async with new_page(browser) as page:
        await page.goto(f"{address}?label={nonce}")
        await expect(page.get_by_role("status")).to_be_empty()
        yield page


async def start(page: Page, question: str) -> Locator:
    """The last run, once it has begun."""
    count = await page.locator("article").count()
    await page.get_by_label("Question").fill(question)
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("article")).to_have_count(count + 1)
    return page.locator("article").nth(count)


async def test_a_run_grows_into_a_tree_with_durations_and_the_answer(
    page: Page, nonce: str
) -> None:
    run = await start(page, f'[[tool add {{"a": 1, "b": 2}}]] {nonce}')
    await expect(run).to_have_attribute("data-status", "answered")
    replies = run.locator(":scope > ul > li")
    await expect(replies).to_have_count(2)
    tool = replies.first.locator("ul > li")
    await expect(tool.locator("b")).to_have_text("add")
    await expect(tool).to_contain_text("3")
    for length in await run.locator("small").all():
        await expect(length).to_have_text(re.compile(r"[0-9] m?s$"))
    await expect(run.locator(".answer")).to_have_text(f"Answer to: {nonce} (results: 3)")
    link = run.get_by_role("link", name="All of it")
    await link.click()
    await expect(page.locator("#title")).to_contain_text(nonce)


async def test_it_says_what_is_under_way_and_stops_it(
    page: Page, model: FakeModelControl, nonce: str
) -> None:
    stop = page.get_by_role("button", name="Stop")
    await expect(stop).to_be_disabled()
    run = await start(page, f"[[hold {nonce}]] {nonce}")
    await model.held(nonce)
    await expect(run.locator(".doing")).not_to_be_empty()
    await stop.click()
    await expect(run).to_have_attribute("data-status", "interrupted")
    await expect(run.locator(".doing")).to_have_count(0)
    await expect(stop).to_be_disabled()


async def test_what_failed_is_said(page: Page, nonce: str) -> None:
    run = await start(page, f"[[status 400]] {nonce}")
    await expect(run).to_have_attribute("data-status", "failed")
    await expect(run.locator("[data-status=error], .error")).to_have_count(1)
    run = await start(page, f"[[tool broken]] {nonce}")
    await expect(run.locator("[data-status=error]")).to_contain_text("the wheel came off")
    await expect(run).to_have_attribute("data-status", "answered")


async def test_a_run_whose_server_was_killed_is_told_once_and_whole(
    page: Page, model: FakeModelControl, service: Service, nonce: str
) -> None:
    run = await start(page, f'[[tool add {{"a": 1, "b": 2}}]] [[hold {nonce} step=2]] {nonce}')
    await model.held(nonce)
    await expect(run.locator("li li")).to_have_count(1)
    service.kill()
    await expect(page.get_by_role("status")).to_have_text("Connecting…")
    await asyncio.to_thread(service.restart)
    # Of a run that ends while nobody watches no end is told.
    await expect(page.get_by_role("status")).to_be_empty()
    await model.release(nonce)
    await expect(run).to_have_attribute("data-status", "answered")
    await expect(run.locator("li b")).to_have_count(3 + 1)  # One reply was cut off.
    await expect(page.locator("article")).to_have_count(1)
    await expect(run.locator(".answer")).to_have_text(f"Answer to: {nonce} (results: 3)")


async def test_a_run_that_ended_while_nobody_watched_is_not_shown_as_running(
    browser: Browser, address: str, model: FakeModelControl, service: Service, nonce: str
) -> None:
    sockets: list[WebSocketRoute] = []
    may_come_back = asyncio.Event()
    may_come_back.set()

    async def pass_on(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        await may_come_back.wait()
        socket.connect_to_server()

    async with new_page(browser) as page:
        await page.route_web_socket(re.compile("/ws/"), pass_on)
        await page.goto(f"{address}?label={nonce}")
        await expect(page.get_by_role("status")).to_be_empty()
        run = await start(page, f"[[hold {nonce}]] {nonce}")
        await model.held(nonce)
        may_come_back.clear()
        async with watcher(f"ws://127.0.0.1:{service.port}/ws/{nonce}") as other:
            await other.until("connection_established")
            await sockets[-1].close()
            await expect(page.get_by_role("status")).to_have_text("Connecting…")
            await model.release(nonce)
            await other.until("trace_completed")
        may_come_back.set()
        await expect(run).to_have_attribute("data-status", "unseen")
        await expect(run.locator(".doing")).to_have_count(0)
        await expect(page.get_by_role("button", name="Stop")).to_be_disabled()


async def test_who_is_sent_away_for_good_stays_away_and_is_told_why(
    browser: Browser, address: str
) -> None:
    async with new_page(browser) as page:
        sockets: list[WebSocket] = []
        page.on("websocket", lambda socket: sockets.append(socket))
        await page.clock.install()
        await page.goto(f"{address}?label={'long' * 50}")
        await expect(page.get_by_role("status")).to_have_text("Not connected.")
        await expect(page.get_by_role("alert")).not_to_be_empty()
        await page.clock.run_for("01:00")
        assert len(sockets) == 1


async def test_a_question_that_waits_is_a_run_of_its_own(
    page: Page, model: FakeModelControl, nonce: str
) -> None:
    first = await start(page, f"[[hold {nonce}]] one {nonce}")
    await model.held(nonce)
    await page.get_by_label("Question").fill(f"two {nonce}")
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_label("Question")).to_have_value("")
    await model.release(nonce)
    await expect(page.locator("article[data-status=answered]")).to_have_count(2)
    await expect(first.locator(".answer")).to_have_text(f"Answer to: one {nonce}")
