"""An answer that was cut off, as people see it."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.browser.acting import ask


@pytest.mark.parametrize(
    ("reason", "note"),
    [("length", "limit of tokens"), ("content_filter", "content filter"), ("stop", None)],
)
async def test_an_answer_says_what_cut_it_off(page: Page, reason: str, note: str | None) -> None:
    turn = await ask(page, f"Tell me all [[finish {reason}]]")
    await expect(turn.locator(".answer")).to_have_text("Answer to: Tell me all")
    if note is None:
        await expect(turn.locator(".note")).to_have_count(0)
    else:
        await expect(turn.locator(".note")).to_contain_text(note)
