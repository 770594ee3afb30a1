"""The chat pages of several services at one site: each keeps to itself what its browser knows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from agents.runtime.database import DatabaseThreads
from tests.browser.acting import say
from tests.browser.conftest import PATIENCE_MS, Watch
from tests.browser.test_module import FAKE_SOCKET
from tests.browser.test_waiting import SERVER, act
from tests.services.measured import add_service

pytestmark = pytest.mark.django_db(transaction=True)

CHINESE = "天气"


@pytest.fixture(scope="module")
def site(site_of_rows: str) -> str:
    return site_of_rows


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, site: str, watch: Watch) -> AsyncIterator[Page]:
    """A tab before two services whose sockets are the test's."""
    database = DatabaseThreads()
    for name in ("shop", CHINESE):
        await database.run(add_service, name)
    await database.stop()
    context = await browser.new_context(locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    watch.follow(page)
    await page.add_init_script(FAKE_SOCKET + SERVER)
    yield page
    await context.close()


async def visit(page: Page, site: str, name: str, *, is_there: bool = True) -> None:
    await page.goto(f"{site}/services/{name}/")
    await expect(page.locator("h1")).to_have_text(name)
    if is_there:
        await act(page, "server().open()")


async def test_the_socket_is_at_the_path_of_the_page(page: Page, site: str) -> None:
    await visit(page, site, CHINESE)
    address = f"{site}/services/%E5%A4%A9%E6%B0%94/?lang=en".replace("http", "ws")
    assert await page.evaluate("WebSocket.last.url") == address


async def test_conversations_are_listed_where_they_were_held(page: Page, site: str) -> None:
    await visit(page, site, "shop")
    await say(page, "Do you have tea?")
    await act(page, 'server().log(1, "agent.session_created", frame({})); accept()')
    listed = page.locator("#conversations a")
    await expect(listed).to_have_count(1)
    await visit(page, site, CHINESE)
    await expect(listed).to_have_count(0)
    await visit(page, site, "shop")
    await expect(listed).to_have_text("Do you have tea?")


async def test_what_was_not_sent_goes_to_no_other_service(page: Page, site: str) -> None:
    await visit(page, site, "shop", is_there=False)
    await say(page, "Into the dark")
    await page.locator("#message").fill("A draft")
    await visit(page, site, CHINESE)
    await expect(page.locator("#message")).to_have_value("")
    await expect(page.locator(".turn")).to_have_count(0)
    assert await page.evaluate("server().sent") == []
    await visit(page, site, "shop")
    await expect(page.locator("#message")).to_have_value("A draft")
    await expect(page.locator(".turn")).to_contain_text("Into the dark")
    sent = await page.evaluate("server().sent.map(({ event }) => event)")
    assert sent == ["user.create_session"]
