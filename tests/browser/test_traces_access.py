"""Whose traces somebody sees who has to log in: their own, on the same pages."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests import accounts
from tests.browser.acting import ask
from tests.databases import fresh_database
from tests.fake_model_control import FakeModelControl
from tests.runners import ROOT, Runner

from .conftest import PATIENCE_MS, Watch, connected

Guarded = tuple[Runner, dict[str, dict[str, str]]]


@pytest.fixture(scope="module")
def guarded(model: FakeModelControl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A runner that asks for a login, and two people who may use it."""
    folder = tmp_path_factory.mktemp("guarded")
    file = ROOT / "tests" / "agent_files" / "tools.py"
    with fresh_database(folder) as url:
        environment = accounts.environment_of(url, folder)
        env = model.environment | {"MYAGENT_AUTH": "token"}
        with Runner(file, url, folder, env=env) as runner:
            yield runner, accounts.make(environment, ada={}, bob={})


@pytest.fixture(scope="module")
def runner(guarded: Guarded) -> Runner:
    return guarded[0]


async def page_of(browser: Browser, watch: Watch, site: str, cookie: str) -> Page:
    context = await browser.new_context(locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    if cookie:
        name, _, value = cookie.partition("=")
        await context.add_cookies([{"name": name, "value": value, "url": site}])
    page = await context.new_page()
    watch.follow(page)
    await page.goto(site)
    return page


async def test_a_trace_is_its_owners(
    browser: Browser, watch: Watch, site: str, guarded: Guarded, nonce: str
) -> None:
    watch.excuse("403")
    people = guarded[1]
    hers = await page_of(browser, watch, site, people["ada"]["cookie"])
    his = await page_of(browser, watch, site, people["bob"]["cookie"])
    nobodys = await page_of(browser, watch, site, "")
    try:
        turn = await ask(hers, f"Hello {nonce}")
        await turn.get_by_role("link", name="Show the trace of this run").click()
        await connected(hers)
        await expect(hers.locator("#title")).to_contain_text(nonce)
        await his.goto(hers.url)
        problem = his.locator("#problem")
        await expect(problem).to_have_text("This trace belongs to somebody else.")
        await his.goto(f"{site}traces/")
        await expect(his.locator("#none")).to_contain_text("No run is recorded yet.")
        await expect(his.locator("#operations")).to_be_hidden()
        await nobodys.goto(hers.url)
        await expect(nobodys).to_have_url(re.compile(r"/login/\?next=/traces/"))
    finally:
        for page in (hers, his, nobodys):
            await page.context.close()
