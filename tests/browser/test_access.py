"""A browser before a server that asks for a login, and the close codes that it sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page, expect

from tests import accounts
from tests.databases import fresh_database
from tests.runners import ROOT, Runner

from .conftest import PATIENCE_MS, Watch

People = dict[str, dict[str, str]]
Site = tuple[Runner, People]

OPEN = """([path, protocols, frames]) => new Promise((resolve) => {
  const socket = new WebSocket(path, protocols);
  let last;
  socket.onmessage = ({ data }) => { last = JSON.parse(data); };
  socket.onopen = () => frames.forEach((frame) => socket.send(frame));
  socket.onclose = ({ code }) => resolve([code, last?.metadata.code]);
  setTimeout(() => resolve(["open", last?.metadata.code]), 40000);
})"""
"""Opens a socket, sends frames, and tells how it was closed and what was said before."""

FLOOD = ['{"event": "user.create_session", "metadata": {"service": "no"}}'] * 150


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A runner that asks for a login, and people who may use it or not."""
    folder: Path = tmp_path_factory.mktemp("guarded")
    with fresh_database(folder) as url:
        environment = accounts.environment_of(url, folder)
        file = ROOT / "tests" / "agent_files" / "parrot.py"
        env = {"MYAGENT_AUTH": "token", "MYAGENT_MESSAGES_PER_SECOND": "10"}
        with Runner(file, url, folder, env=env) as runner:
            yield runner, accounts.make(environment, ada={}, carl={"permissions": []})


@pytest.fixture(scope="module")
def runner(guarded: Site) -> Runner:
    return guarded[0]


async def blank_page(browser: Browser, watch: Watch, site: str, **options: Any) -> Page:
    context = await browser.new_context(locale="en-GB", **options)
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    watch.follow(page)
    await page.goto(f"{site}login/")
    return page


@pytest.mark.parametrize(
    "name, path, frames, seen",
    [
        ("", "/", [], [4001, "unauthenticated"]),
        ("nobody", "/", [], [4001, "unauthenticated"]),
        ("carl", "/", [], [4003, "forbidden"]),
        ("ada", "/services/nowhere/", [], [4004, "no_service"]),
        ("ada", "/", FLOOD, [4029, "rate_limited"]),
        ("ada", "/", ["[", "[", "["], [4400, "invalid_json"]),
    ],
    ids=["no token", "a wrong token", "no permission", "no service", "a flood", "abuse"],
)
async def test_a_browser_sees_why_it_was_refused(
    browser: Browser,
    watch: Watch,
    site: str,
    guarded: Site,
    name: str,
    path: str,
    frames: list[str],
    seen: list[Any],
) -> None:
    tokens = {who: person["token"] for who, person in guarded[1].items()}
    tokens["nobody"] = "myagent_" + "0" * 64
    page = await blank_page(browser, watch, site)
    protocols = ["myagent.v1", *([f"token.{tokens[name]}"] if name else [])]
    try:
        assert await page.evaluate(OPEN, [path, protocols, frames]) == seen
    finally:
        await page.context.close()


async def test_the_login_leads_back_to_the_chat_which_then_works(
    browser: Browser, watch: Watch, site: str, guarded: Site
) -> None:
    page = await blank_page(browser, watch, site)
    try:
        await page.goto(f"{site}?from=here")
        await expect(page).to_have_url(f"{site}login/?next=/{quote('?from=here')}")
        for password in ("not hers", "a long secret"):
            await page.fill("#username", "ada")
            await page.fill("#password", password)
            await page.click("button")
            if password == "not hers":
                await expect(page.get_by_role("alert")).to_be_visible()
        await expect(page).to_have_url(f"{site}?from=here")
        await expect(page.locator("#link-state")).to_have_attribute("data-state", "open")
        other = await page.context.new_page()
        await other.goto(site)
        await expect(other.locator("#link-state")).to_have_attribute("data-state", "open")
        await page.click(".log-out")
        await page.click("main button")
        await expect(page).to_have_url(f"{site}login/")
        await expect(other.locator("#log-in")).to_have_attribute("href", "/login/?next=%2F")
        await page.goto(site)
        await expect(page).to_have_url(f"{site}login/?next=/")
    finally:
        await page.context.close()
