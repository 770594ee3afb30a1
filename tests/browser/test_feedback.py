"""Thumbs under answers, and what the pages of traces show of them, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Locator, Page, expect

from tests.browser.acting import ask
from tests.browser.conftest import NewPage
from tests.browser.looks import in_every_look
from tests.browser.test_looks import assert_no_sideways_scroll, serious_problems


def thumb(turn: Locator, name: str) -> Locator:
    return turn.get_by_role("button", name=name)


async def expect_pressed(turn: Locator, *, good: bool = False, bad: bool = False) -> None:
    for name, is_pressed in (("Good answer", good), ("Bad answer", bad)):
        button = thumb(turn, name)
        await expect(button).to_have_attribute("aria-pressed", str(is_pressed).lower())


async def test_a_thumb_and_its_comment_are_there_after_a_reload_and_on_another_page(
    page: Page, new_page: NewPage
) -> None:
    turn = await ask(page, "What is new?")
    await expect_pressed(turn)
    await thumb(turn, "Bad answer").click()
    await expect_pressed(turn, bad=True)
    field = turn.get_by_label("What was wrong?")
    await expect(field).to_be_focused()
    await field.fill("It is <b>old</b>.")
    await field.press("Enter")
    await expect(turn.locator(".rating-words")).to_have_text("Your words: It is <b>old</b>.")
    await expect(thumb(turn, "Bad answer")).to_be_focused()
    other = await new_page("#" + page.url.partition("#")[2])
    await page.reload()
    for each in (page, other):
        await expect_pressed(each.locator(".turn"), bad=True)
        words = each.locator(".rating-words")
        await expect(words).to_have_text("Your words: It is <b>old</b>.")
    # What one page says is seen at the other.
    await thumb(other.locator(".turn"), "Good answer").click()
    await expect_pressed(page.locator(".turn"), good=True)
    await expect(page.locator(".rating-words")).to_have_count(0)


async def test_a_pressed_thumb_takes_back_what_was_said(page: Page) -> None:
    turn = await ask(page, "What is new?")
    await thumb(turn, "Good answer").press("Enter")
    await turn.get_by_role("button", name="Skip").click()
    await expect(turn.locator(".rating-form")).to_have_count(0)
    await expect_pressed(turn, good=True)
    await thumb(turn, "Good answer").press("Space")
    await expect_pressed(turn)
    await expect(page.locator("#announcer")).to_contain_text("Your feedback was taken back.")
    await page.reload()
    await expect_pressed(page.locator(".turn"))


async def test_a_conversation_that_has_ended_offers_no_thumbs(page: Page) -> None:
    turn = await ask(page, "What is new?")
    session = page.url.partition("#")[2]
    await page.evaluate(
        """async (id) => {
            const { endConversation } = await import("/static/js/chat/talk.js");
            endConversation(id);
        }""",
        session,
    )
    await expect(page.locator("#problem")).to_contain_text("has ended")
    await expect(thumb(turn, "Good answer")).to_be_hidden()
    await expect(thumb(turn, "Bad answer")).to_be_hidden()


async def test_an_answer_that_went_wrong_has_no_thumbs(page: Page) -> None:
    await page.locator("#message").fill("[[status 400]] please")
    await page.locator("#message").press("Enter")
    await expect(page.locator(".turn[data-status=error]")).to_be_visible()
    await expect(page.locator(".thumb")).to_have_count(0)


@in_every_look()
async def test_everybody_can_rate(
    new_page: NewPage,
    axe_script: str,
    tmp_path: Path,
    scheme: Literal["light", "dark"],
    size: dict[str, int],
    lang: str,
) -> None:
    look: dict[str, Any] = {"color_scheme": scheme, "viewport": size, "reduced_motion": "reduce"}
    page = await new_page(f"?lang={lang}", **look)
    turn = await ask(page, "What is new?")
    await turn.locator(".thumb.up").click()
    await turn.locator(".rating-form input").fill("short and right 简短而正确 " * 8)
    await turn.locator(".rating-form input").press("Enter")
    turn = await ask(page, "And now?")
    await turn.locator(".thumb.down").click()
    await expect(turn.locator(".rating-form input")).to_be_focused()
    await page.screenshot(path=tmp_path / "rated.png")
    await assert_no_sideways_scroll(page)
    assert await serious_problems(page, axe_script) == []
