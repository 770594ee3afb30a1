"""Who is connected, on the console: seen, searched, and disconnected there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.looks import in_every_look
from tests.browser.test_looks import serious_problems

pytestmark = pytest.mark.django_db(transaction=True)

CONSOLE = "/console"

CONNECT = """() => new Promise((resolve, reject) => {
  window.socket = new WebSocket("/");
  window.ended = new Promise((end) => { socket.onclose = ({ code }) => end(code); });
  socket.onmessage = resolve;
  socket.onerror = reject;
})"""
"""Opens a socket of the site, which stays open."""


@pytest.fixture(scope="module")
def site(site_of_rows: str) -> str:
    return site_of_rows


async def opened(page: Page) -> None:
    await page.locator("#connections summary").press("Enter")


async def test_a_client_is_seen_and_disconnected(new_page: NewPage) -> None:
    page = await new_page(CONSOLE)
    await opened(page)
    await expect(page.locator("#connections-none")).to_have_text("Nobody is connected.")
    await page.evaluate(CONNECT)
    row = page.locator("#connections-body tr")
    await expect(row).to_contain_text("127.0.0.1")
    await page.get_by_label("Filter by service").fill("no such")
    await expect(page.locator("#connections-none")).to_have_text("No connection matches.")
    await page.get_by_label("Filter by service").fill("chrome")

    button = row.get_by_role("button", name="Close the connection of 127.0.0.1")
    await button.press("Enter")
    await expect(page.get_by_role("button", name="Leave it open")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(button).to_be_focused()
    await button.press("Enter")
    await page.get_by_role("dialog").get_by_role("button", name="Close", exact=True).click()
    assert await page.evaluate("ended") == 4003
    await expect(row).to_have_count(0)
    await page.reload()
    await expect(page.locator("#connections")).to_have_attribute("open", "")


@in_every_look()
async def test_the_table_fits_and_everybody_can_use_it(
    new_page: NewPage,
    axe_script: str,
    tmp_path: Path,
    scheme: Literal["light", "dark"],
    size: dict[str, int],
    lang: str,
) -> None:
    page = await new_page(
        f"{CONSOLE}?lang={lang}", color_scheme=scheme, viewport=size, reduced_motion="reduce"
    )
    await opened(page)
    await page.evaluate(CONNECT)
    await expect(page.locator("#connections-body tr")).to_have_count(1)
    await page.screenshot(path=tmp_path / "connections.png", full_page=True)
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(wide)
    await page.locator("#connections-body button").click()
    await page.screenshot(path=tmp_path / "asked.png")
    assert await serious_problems(page, axe_script) == []
