"""The admin in a real browser: its strict policy, its live states, and how it looks.

Pictures are left in the test's temporary folder, for people to look at.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser.conftest import PATIENCE_MS, Watch
from tests.browser.looks import NARROW, WIDE, in_every_look
from tests.browser.test_looks import serious_problems
from tests.databases import fresh_database
from tests.managed_site import ManagedSite
from tests.runners import ROOT

LIST = "admin/services/service/"
OURS = "{include: ['#content'], exclude: ['#searchbar']}"
"""What is checked of a page: Django's own search box has a label that the checker dislikes."""

BROKEN = "an_agent_whose_file_has_a_long_name_and_does_not_load.py"

SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"

OpenAdmin = Callable[..., Any]


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedSite]:
    folder = tmp_path_factory.mktemp("admin")
    agents = folder / "agents"
    agents.mkdir()
    with fresh_database(folder) as url:
        managed = ManagedSite(url, folder, MYAGENT_AGENT_DIRS=str(agents))
        (agents / "echo.py").write_bytes((ROOT / "examples" / "echo_agent.py").read_bytes())
        for broken in ("broken.py", BROKEN):
            (agents / broken).write_text("import <nothing>\n")
        try:
            yield managed
        finally:
            managed.close()


@pytest.fixture(scope="module")
def greeting(managed: ManagedSite) -> str:
    """What `serve` said at its first start."""
    return managed.serve().wait_for_log("shown only this once").log


@pytest.fixture(scope="module")
def site(greeting: str) -> str:
    found = re.search(r"ready at (http://\S+)", greeting)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def password(greeting: str) -> str:
    found = re.search(r"password (\S+)", greeting)
    assert found is not None
    return found[1]


@pytest_asyncio.fixture(loop_scope="session")
async def open_admin(
    browser: Browser, site: str, password: str, watch: Watch
) -> AsyncIterator[OpenAdmin]:
    """Logs in as a person does, in a browser that knows nothing; options are a context's."""
    contexts: list[BrowserContext] = []

    async def log_in(**options: Any) -> Page:
        context = await browser.new_context(**{"viewport": WIDE, "locale": "en-GB"} | options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        watch.follow(page)
        await page.goto(f"{site}{LIST}")
        await page.locator("#id_username").fill("admin")
        await page.locator("#id_password").fill(password)
        await page.locator("[type=submit]").click()
        await expect(page.locator("#changelist")).to_be_visible()
        return page

    yield log_in
    for context in contexts:
        await context.close()


async def register(page: Page, site: str, name: str, file: str, **fields: str) -> None:
    """By the form; the list is open then."""
    await page.goto(f"{site}{LIST}add/")
    for field, value in ({"name": name, "agent_factory_path": file} | fields).items():
        await page.locator(f"#id_{field}").fill(value)
    await page.locator("[name=_save]").click()
    await expect(row(page, name)).to_be_visible()


def row(page: Page, name: str) -> Locator:
    link = page.get_by_role("link", name=name, exact=True)
    return page.locator("#result_list tbody tr").filter(has=link)


def button(place: Page | Locator, verb: str) -> Locator:
    return place.locator(f'button[data-verb="{verb}"]')


def status(place: Page | Locator) -> Locator:
    return place.locator(".cell-status").first


async def test_a_button_on_the_list_starts_a_service_and_its_state_follows_by_itself(
    open_admin: OpenAdmin, site: str
) -> None:
    page = await open_admin()
    await register(page, site, "follow", "echo.py")
    mine = row(page, "follow")
    await button(mine, "start").click()
    await expect(page.locator(".messagelist")).to_contain_text("'follow' is starting.")
    await page.evaluate("window.isSamePage = true")
    await expect(status(mine)).to_have_text("Running")
    await expect(mine.locator(".cell-health")).to_have_text("Healthy")
    await expect(button(mine, "start")).to_be_hidden()
    await expect(button(mine, "stop")).to_be_visible()
    assert await page.evaluate("window.isSamePage")


async def test_the_page_of_a_service_follows_it_to_its_end(
    open_admin: OpenAdmin, site: str
) -> None:
    page = await open_admin()
    await register(page, site, "leaving", "echo.py")
    await row(page, "leaving").get_by_role("link", name="leaving").click()
    await button(page, "start").click()
    await expect(status(page)).to_have_text("Running")
    await expect(page.locator("[data-part=instances] td").nth(2)).to_have_text(re.compile(r"\d+"))
    await expect(page.locator(".log")).to_contain_text("ready file=")
    await button(page, "stop").click()
    await page.get_by_role("button", name="Stop", exact=True).click()
    await expect(page.locator(".messagelist")).to_contain_text("'leaving' is stopping.")
    await page.evaluate("window.isSamePage = true")
    await expect(status(page)).to_have_text("Stopped")
    await expect(button(page, "start")).to_be_visible()
    assert await page.evaluate("window.isSamePage")


async def test_what_its_reader_is_at_stays_while_the_page_follows(
    open_admin: OpenAdmin, site: str
) -> None:
    page = await open_admin(viewport=NARROW)
    await register(page, site, "read", "echo.py")
    await row(page, "read").get_by_role("link", name="read").click()
    await button(page, "start").click()
    await expect(status(page)).to_have_text("Running")
    checks = page.locator("[data-part=checks]")
    await checks.locator("summary").click()
    await checks.locator("summary").focus()
    table = page.locator("[data-part=instances] .wide")
    await table.evaluate("table => { table.scrollLeft = 60; }")
    newest = checks.locator("tbody td").first
    before = await newest.inner_text()
    await expect(newest).not_to_have_text(before)
    await expect(checks.locator("summary")).to_be_focused()
    await expect(checks.locator("details")).to_have_attribute("open", "")
    assert await table.evaluate("table => table.scrollLeft") == 60


async def test_a_service_that_was_unregistered_leaves_the_list_by_itself(
    open_admin: OpenAdmin, site: str
) -> None:
    page = await open_admin()
    await register(page, site, "going", "echo.py")
    await button(row(page, "going"), "start").click()
    await expect(status(row(page, "going"))).to_have_text("Running")
    await row(page, "going").get_by_role("link", name="going").click()
    await page.locator(".deletelink").click()
    await page.get_by_role("button", name="Unregister").click()
    await expect(page.locator(".messagelist")).to_contain_text("being unregistered")
    await expect(row(page, "going")).to_have_count(0)


async def test_a_failure_is_said_where_one_looks_as_text(open_admin: OpenAdmin, site: str) -> None:
    page = await open_admin()
    await register(page, site, "failing", "broken.py")
    await button(row(page, "failing"), "start").click()
    await expect(status(row(page, "failing"))).to_have_text("Error")
    await row(page, "failing").get_by_role("link", name="failing").click()
    await expect(page.locator(".error-message")).to_contain_text("broken.py, line 1")


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
async def test_the_list_is_whole_on_a_laptop(
    open_admin: OpenAdmin, site: str, tmp_path: Path, locale: str
) -> None:
    page = await open_admin(viewport={"width": 1280, "height": 800}, locale=locale)
    name = f"support_with_a_long_name_{locale.lower()}"
    await register(page, site, name, BROKEN, tags=f"support, multilingual, {'t' * 50}")
    await button(row(page, name), "start").click()
    await expect(row(page, name).locator(".cell-status")).to_have_attribute("data-kind", "error")
    await (
        row(page, name)
        .locator("button[data-verb]")
        .evaluate_all("buttons => buttons.forEach((each) => { each.hidden = false; })")
    )
    await (
        row(page, name)
        .locator(".cell-uptime")
        .evaluate("cell => { cell.textContent = '11 months, 3 weeks'; }")
    )
    await (
        row(page, name)
        .locator(".cell-status")
        .evaluate("cell => { cell.textContent = 'Unhealthy'; }")
    )
    await page.screenshot(path=tmp_path / "laptop.png")
    assert await page.locator("#changelist-form .results").evaluate(
        "table => table.scrollWidth <= table.clientWidth"
    )


async def test_without_scripts_everything_can_still_be_done(
    open_admin: OpenAdmin, site: str
) -> None:
    page = await open_admin(java_script_enabled=False)
    await register(page, site, "plain", "echo.py")
    await button(row(page, "plain"), "start").click()
    await expect(page.locator(".messagelist")).to_contain_text("'plain' is starting.")


async def test_no_page_breaks_the_policy(open_admin: OpenAdmin, site: str) -> None:
    """The watch fails the test for whatever the browser has blocked."""
    page = await open_admin()
    await register(page, site, "strict", "echo.py", tags="a, b", variables="APP_KEY=value")
    await page.goto(f"{site}{LIST}?q=strict&tag=a")
    await row(page, "strict").get_by_role("link", name="strict").click()
    await expect(page.locator("#observed")).to_be_visible()
    address = page.url.partition("change/")[0]
    for place in ("history/", "delete/"):
        await page.goto(address + place)
        await expect(page.locator("h1")).to_be_visible()
    for place in ("", "auth/user/", "auth/user/add/", "services/supervisor/", "password_change/"):
        await page.goto(f"{site}admin/{place}")
        await expect(page.locator("h1")).to_be_visible()
    await page.locator("#logout-form button").click()
    await expect(page.locator("h1")).to_be_visible()


async def test_a_script_within_a_page_would_be_blocked_and_noticed(
    open_admin: OpenAdmin, watch: Watch
) -> None:
    page = await open_admin()
    await page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.hacked = 1";
            document.body.append(script);
        }"""
    )
    assert await page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in line for line in watch.wrong)
    watch.excuse("Content Security Policy")


@in_every_look("en-GB", "zh-CN")
async def test_the_pages_fit_and_everybody_can_read_them(
    open_admin: OpenAdmin,
    site: str,
    watch: Watch,
    axe_script: str,
    tmp_path: Path,
    scheme: str,
    size: dict[str, int],
    lang: str,
) -> None:
    page = await open_admin(color_scheme=scheme, viewport=size, locale=lang)
    shown = page.locator("#result_list").get_by_role("link", name="looks", exact=True)
    if not await shown.count():
        await register(page, site, "looks", "echo.py", tags="demo, 演示")
        await page.locator('button[data-verb="start"]:visible').first.click()
    found: list[str] = []
    for name in ("list", "page", "add"):
        await page.goto(f"{site}{LIST}{'add/' if name == 'add' else ''}")
        if name == "page":
            await page.locator("#result_list").get_by_role("link", name="looks").click()
            await expect(page.locator("#observed")).to_be_visible()
        await page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
        if name == "list":
            # Chinese is broken between words only, not down to one character a line.
            height = await page.locator(".cell-status").first.evaluate("c => c.clientHeight")
            assert height < 30
        assert not await page.evaluate(SIDEWAYS), name
        watch.judge()
        found += await serious_problems(page, axe_script, OURS)
        # The checker itself would like to set styles and to fetch.
        watch.wrong.clear()
    assert found == []
