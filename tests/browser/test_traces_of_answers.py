"""From an answer in the chat to what happened in its run, and back, at a server of one agent."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.browser.acting import ask, say
from tests.browser.conftest import connected


async def test_an_answer_leads_to_its_trace_and_back(page: Page, nonce: str) -> None:
    turn = await ask(page, f'[[tool lookup {{"word": "weather"}}]] {nonce}')
    await turn.get_by_role("link", name="Show the trace of this run").click()
    await connected(page)
    steps = page.locator("#rows [role=row]")
    await expect(steps).to_have_count(3)
    await expect(page.locator("#title")).to_contain_text(nonce)
    await steps.filter(has_text="lookup").click()
    await expect(page.get_by_role("region", name="Details of the step")).to_contain_text("weather")
    await page.get_by_role("link", name="Open the conversation").click()
    await expect(page.locator(".bubble")).to_contain_text(nonce)


async def test_a_step_that_waits_for_somebody_is_seen_to_go_on(page: Page, nonce: str) -> None:
    await say(page, f'[[tool order {{"item": "tea", "amount": 2}}]] {nonce}')
    await expect(page.locator(".confirm")).to_be_visible()
    watching = await page.context.new_page()
    await watching.goto(f"{page.url.split('#')[0]}traces/")
    await watching.get_by_role("link", name=nonce).click()
    steps = watching.locator("#rows [role=row]")
    waiting = steps.filter(has_text="waits for a confirmation")
    await expect(waiting).to_have_count(1)
    width = "(bar) => bar.getBoundingClientRect().width"
    bar = waiting.locator(".bar-of-time")
    handle = await bar.element_handle()
    before = await bar.evaluate(width)
    await watching.wait_for_function(
        "([bar, before]) => bar.getBoundingClientRect().width > before", arg=[handle, before]
    )
    await page.locator(".confirm").get_by_role("button", name="Approve").click()
    await expect(page.locator(".copy-answer")).to_have_count(1)
    await expect(waiting).to_have_count(0)
    await expect(watching.locator("#link-text")).to_have_text("Ended")
