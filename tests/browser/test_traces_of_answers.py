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


async def test_a_run_runs_again_from_a_step(page: Page, nonce: str) -> None:
    turn = await ask(page, f'[[tool lookup {{"word": "weather"}}]] {nonce}')
    await turn.get_by_role("link", name="Show the trace of this run").click()
    await connected(page)
    origin = page.url
    await page.locator("#rows [role=row]").last.click()
    detail = page.get_by_role("region", name="Details of the step")
    await detail.get_by_role("button", name="Run again from step 2").click()
    back = page.get_by_role("link", name="Ran step 2 of this run again")
    await expect(page.locator("#link-text")).to_have_text("Ended")
    await expect(page.locator("#summary")).to_contain_text("answered")
    await expect(page.locator("#rows [role=row]")).to_have_count(1)
    await page.get_by_role("link", name="Compare with it").click()
    await expect(page.locator("#rows .differs")).to_have_text(
        ["before it ran again", "before it ran again", ""]
    )
    await page.go_back()
    await back.click()
    await expect(page).to_have_url(origin.split("#")[0])
    await expect(page.get_by_role("link", name="Was run again from step 2,")).to_have_count(1)


async def test_another_question_is_asked_in_place_of_the_first(page: Page, nonce: str) -> None:
    turn = await ask(page, f"one {nonce}")
    await turn.get_by_role("link", name="Show the trace of this run").click()
    await connected(page)
    await page.locator("#rows [role=row]").first.click()
    detail = page.get_by_role("region", name="Details of the step")
    await detail.get_by_label("Another question").fill(f"two {nonce}")
    await detail.get_by_role("button", name="Run again from step 1").click()
    await expect(page.locator("#title")).to_have_text(f"two {nonce}")
    await page.get_by_role("link", name="Open the conversation").click()
    await expect(page.locator(".bubble")).to_have_text(f"two {nonce}")
    await expect(page.locator(".copy-answer")).to_have_count(1)
