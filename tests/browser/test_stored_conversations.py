"""The list of conversations of somebody who is logged in: the same in every browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from tests import accounts
from tests.browser.acting import ask, say
from tests.databases import fresh_database
from tests.fake_model_control import FakeModelControl
from tests.runners import ROOT, Runner

from .conftest import PATIENCE_MS, Watch, connected

Guarded = tuple[Runner, dict[str, dict[str, str]]]
OnADevice = Callable[..., Awaitable[Page]]

LIST = "/api/v1/sessions?"
BEGIN = """async ([count, service]) => {
  const { csrf } = JSON.parse(document.getElementById("page").textContent);
  const headers = { "Content-Type": "application/json", "X-CSRFToken": csrf };
  for (let number = 1; number <= count; number += 1) {
    const body = JSON.stringify({ service, title: `Number ${number}` });
    const answer = await fetch("/api/v1/sessions", { method: "POST", headers, body });
    if (answer.status !== 201) throw new Error(await answer.text());
  }
}"""
"""Begins conversations as a program would, in which nothing is said."""


@pytest.fixture(scope="module")
def guarded(model: FakeModelControl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A runner that asks for a login, and two people who may use it."""
    folder = tmp_path_factory.mktemp("guarded")
    file = ROOT / "tests" / "agent_files" / "tools.py"
    with fresh_database(folder) as url:
        environment = accounts.environment_of(url, folder)
        env = model.environment | {"MYAGENT_AUTH": "token"}
        with Runner(file, url, folder, env=env) as runner:
            people = {name: {} for name in ("ada", "bob", "carl", "dora", "eve", "fay")}
            yield runner, accounts.make(environment, **people)


@pytest.fixture(scope="module")
def runner(guarded: Guarded) -> Runner:
    return guarded[0]


@pytest_asyncio.fixture(loop_scope="session")
async def on_a_device(
    browser: Browser, site: str, watch: Watch, guarded: Guarded
) -> AsyncIterator[OnADevice]:
    """The chat in a browser that knows nothing but the login of a person."""
    contexts: list[BrowserContext] = []

    async def open_page(who: str) -> Page:
        context = await browser.new_context(locale="en-GB")
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        name, _, value = guarded[1][who]["cookie"].partition("=")
        await context.add_cookies([{"name": name, "value": value, "url": site}])
        page = await context.new_page()
        watch.follow(page)
        await page.goto(site)
        await connected(page)
        return page

    yield open_page
    for context in contexts:
        await context.close()


async def test_what_is_done_on_one_device_is_seen_on_another(on_a_device: OnADevice) -> None:
    desk, phone = await on_a_device("ada"), await on_a_device("ada")
    await expect(phone.locator("#side-empty")).to_be_visible()
    await ask(desk, "apples")
    listed = phone.locator("#conversations a")
    await expect(listed).to_have_text(["apples"])
    await listed.click()
    await expect(phone.locator(".bubble")).to_have_text("apples")

    await desk.get_by_role("button", name="Rename “apples”").click()
    await desk.get_by_label("New name").fill("Fruit")
    await desk.keyboard.press("Enter")
    await expect(desk.locator("#title")).to_have_text("Fruit")
    await ask(phone, "pears")
    await expect(phone.locator("#title")).to_have_text("Fruit")

    await phone.get_by_role("button", name="Delete “Fruit”").click()
    await phone.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(listed).to_have_count(0)
    await expect(desk.locator("#problem")).to_contain_text("has ended")
    await desk.reload()
    await expect(desk.locator("#problem")).to_contain_text("no longer there")
    await expect(desk.locator("#conversations a")).to_have_count(0)


async def test_what_goes_on_elsewhere_is_marked(
    on_a_device: OnADevice, model: FakeModelControl, nonce: str
) -> None:
    desk, phone = await on_a_device("bob"), await on_a_device("bob")
    await say(desk, f"[[hold {nonce} after=2]] one two three")
    await model.held(nonce)
    await expect(phone.locator("#conversations .mark.running")).to_have_count(1)
    await model.release(nonce)
    await expect(phone.locator("#conversations a")).to_have_count(1)
    await expect(phone.locator("#conversations .mark")).to_have_count(0)


async def test_nobody_is_shown_what_is_somebody_elses(on_a_device: OnADevice) -> None:
    mine, theirs = await on_a_device("carl"), await on_a_device("dora")
    await ask(mine, "a secret")
    await ask(theirs, "another")
    await expect(theirs.locator("#conversations a")).to_have_text(["another"])
    await theirs.reload()
    await expect(theirs.locator("#conversations a")).to_have_text(["another"])


async def test_names_that_a_browser_kept_before_are_taken_over(on_a_device: OnADevice) -> None:
    page = await on_a_device("dora")
    await ask(page, "plums")
    await page.evaluate("""() => {
        const id = location.hash.slice(1);
        const { service } = JSON.parse(document.getElementById("page").textContent);
        const kept = [{ id, title: "Breakfast", isNamed: true, at: 0 }];
        localStorage.setItem(`myagent.conversations.${service}`, JSON.stringify(kept));
    }""")
    await page.reload()
    await expect(page.locator("#title")).to_have_text("Breakfast")
    again = await on_a_device("dora")
    await expect(again.get_by_role("link", name="Breakfast")).to_have_count(1)


async def test_a_long_list_is_read_on_and_searched(on_a_device: OnADevice) -> None:
    other = await on_a_device("eve")
    await ask(other, "Where do larks sing?")
    await other.evaluate(BEGIN, [120, "tools"])
    page = await on_a_device("eve")
    listed = page.locator("#conversations a")
    await expect(listed.first).to_have_text("Number 120")
    await expect(listed).to_have_count(50)
    await page.locator("#conversations-scroller").evaluate("node => node.scrollTo(0, 1e6)")
    await expect(listed).to_have_count(100)
    await page.get_by_role("button", name="Show older ones").press("Enter")
    await expect(listed).to_have_count(121)
    await expect(page.locator("#more")).to_be_hidden()

    await page.get_by_label("Search conversations").fill("larks sing")
    await expect(listed).to_have_text(["Where do larks sing?"])
    await page.get_by_label("Search conversations").fill("no such words")
    await expect(page.locator("#side-empty")).to_have_text("Nothing was found.")
    await page.get_by_label("Search conversations").fill("number 12")
    await expect(listed).to_have_text(["Number 120", "Number 12"])
    await page.get_by_label("Search conversations").fill("")
    await expect(listed).to_have_count(121)


async def test_a_search_that_fails_says_why_and_is_made_again(
    on_a_device: OnADevice, watch: Watch
) -> None:
    watch.excuse("429")
    page = await on_a_device("fay")
    await ask(page, "Where do larks sing?")
    is_refused = True

    async def refuse(route: Route) -> None:
        if is_refused:
            refusal = {"detail": "Too many searches.", "code": "rate_limited"}
            await route.fulfill(status=429, json=refusal)
        else:
            await route.continue_()

    await page.route("**/api/v1/sessions?*text=*", refuse)
    await page.get_by_label("Search conversations").fill("larks")
    await expect(page.locator("#side-empty")).to_contain_text("Too many searches.")
    await expect(page.locator("#conversations a")).to_have_count(0)
    is_refused = False
    await expect(page.locator("#conversations a")).to_have_text(["Where do larks sing?"])


async def test_typing_asks_for_the_list_no_more_often_than_waiting(on_a_device: OnADevice) -> None:
    page = await on_a_device("fay")
    await page.clock.install()
    await page.reload()
    await connected(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if LIST in request.url else None)
    for _ in range(40):
        await page.locator("#message").press("x")
        await page.clock.run_for(150)
        await page.wait_for_load_state("networkidle")
    assert 1 <= len(asked) <= 3, asked
