"""What a person does with the chat page, and sees on it."""

from __future__ import annotations

from playwright.async_api import Locator, Page, expect


async def say(page: Page, text: str) -> None:
    await page.locator("#message").fill(text)
    await page.locator("#message").press("Enter")


async def ask(page: Page, text: str) -> Locator:
    """Says something and waits for the answer's end; the turn."""
    count = await page.locator(".copy-answer").count()
    await say(page, text)
    await expect(page.locator(".copy-answer")).to_have_count(count + 1)
    return page.locator(".turn").last


def answer(page: Page) -> Locator:
    """The last text of the agent."""
    return page.locator(".answer").last


async def shown(page: Page) -> list[str]:
    """All that was said, as it is read."""
    texts: list[str] = await page.locator(".bubble, .answer").all_inner_texts()
    return [text.strip() for text in texts]
