"""How the page looks and whom it serves: every width, light and dark, both languages, any input.

Pictures are left in the test's temporary folder, for people to look at.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Page, expect

from tests.browser.acting import answer, ask, say
from tests.browser.conftest import NewPage, connected
from tests.browser.looks import NARROW, in_every_look

LONG_WORD = "Donaudampfschifffahrtsgesellschaft" * 4

SAMPLE = """I looked at **three** cities and compared them.

## Weather today

| City | Sky | Temperature | Humidity | Wind | Remarks of the station |
|---|---|---|---|---|---|
| Beijing | sunny | 22 °C | 35 % | 3 m/s | clear all day, cooler after sunset |
| Shanghai 上海 | light rain | 19 °C | 81 % | 5 m/s | 阵雨，下午转多云 |

1. Take an umbrella to *Shanghai*.
2. Leave it at home in Beijing:
   - it is dry
   - and `wind < 5`

```python
def umbrella(city: str) -> bool:
    return weather(city)["sky"] in {"light rain", "heavy rain", "thunderstorm", "drizzle", "sleet"}
```

> Forecasts are guesses. See [the station](https://example.org/station).

🎯 在上海记得带伞。"""


async def furnish(page: Page) -> None:
    """A page with everything on it."""
    await ask(page, f'[[tool lookup {{"word": "weather"}}]] [[tool broken]] {LONG_WORD}')
    # The fake model can't say lines of its own.
    await page.evaluate(
        """async (text) => {
            const { render } = await import("/static/js/chat/markdown.js");
            document.querySelector(".answer").replaceChildren(render(text));
        }""",
        SAMPLE,
    )
    await page.locator(".tool summary").first.click()
    arguments = json.dumps({"item": "Longjing tea 龙井茶", "amount": 2})
    await say(page, f"[[tool order {arguments}]] Order two of it, please 请订两份")
    await expect(page.locator(".confirm")).to_be_visible()
    await say(page, "And then something else, which is long enough to be cut at its end, surely")
    await expect(page.locator("#queue li")).to_have_count(1)
    await page.evaluate("document.fonts.ready")


async def serious_problems(page: Page, axe_script: str, within: str = "document") -> list[str]:
    await page.evaluate(axe_script)
    found: dict[str, Any] = await page.evaluate(
        f"axe.run({within}, {{resultTypes: ['violations']}})"
    )
    return [
        f"{each['id']}: {node['html'][:200]} {node.get('failureSummary')}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


async def assert_no_sideways_scroll(page: Page) -> None:
    wider = """[document.documentElement, document.getElementById("scroller")]
        .some((each) => each.scrollWidth > each.clientWidth)"""
    assert not await page.evaluate(wider)


@in_every_look()
async def test_the_page_fits_and_everybody_can_use_it(
    new_page: NewPage,
    axe_script: str,
    tmp_path: Path,
    scheme: Literal["light", "dark"],
    size: dict[str, int],
    lang: str,
) -> None:
    page = await new_page(
        f"?lang={lang}", color_scheme=scheme, viewport=size, reduced_motion="reduce"
    )
    await expect(page.locator("html")).to_have_attribute(
        "lang", "en" if lang == "en" else "zh-Hans"
    )
    await page.screenshot(path=tmp_path / "empty.png")
    await furnish(page)
    await page.screenshot(path=tmp_path / "end.png")
    await assert_no_sideways_scroll(page)
    assert await serious_problems(page, axe_script) == []
    await page.locator("#scroller").evaluate("node => { node.scrollTop = 0; }")
    await page.screenshot(path=tmp_path / "top.png")
    await page.locator(".confirm [data-action=edit]").click()
    await page.screenshot(path=tmp_path / "edit.png")
    assert await serious_problems(page, axe_script) == []
    if size is NARROW:
        await page.locator("#open-side").click()
        await page.screenshot(path=tmp_path / "side.png")
        assert await serious_problems(page, axe_script) == []


async def render(page: Page, text: str) -> None:
    """The fake model can't say lines of its own."""
    await ask(page, "hello")
    await page.evaluate(
        """async (text) => {
            const { render } = await import("/static/js/chat/markdown.js");
            document.querySelector(".answer").replaceChildren(render(text));
        }""",
        text,
    )


async def test_the_columns_of_a_table_are_aligned_as_its_author_said(page: Page) -> None:
    await render(page, "| a | b | c |\n|---|:-:|--:|\n| 1 | 2 | 3 |")
    for cell in ("th", "td"):
        aligned = await page.locator(f".answer {cell}").evaluate_all(
            "cells => cells.map((cell) => getComputedStyle(cell).textAlign)"
        )
        assert [each.removeprefix("-webkit-") for each in aligned[1:]] == ["center", "right"]


async def test_a_list_goes_on_counting_after_what_interrupts_it(page: Page) -> None:
    await render(page, "1. one\n\n```\ncode\n```\n\n2. two")
    await expect(page.locator(".answer ol").last).to_have_attribute("start", "2")


async def test_a_page_that_shuts_people_out_would_be_noticed(page: Page, axe_script: str) -> None:
    await page.evaluate("document.getElementById('send').removeAttribute('aria-label')")
    await page.evaluate("document.getElementById('send').removeAttribute('title')")
    assert await serious_problems(page, axe_script) != []


async def test_a_narrow_page_has_a_drawer_that_the_keyboard_can_use(new_page: NewPage) -> None:
    page = await new_page(viewport=NARROW)
    await expect(page.get_by_role("button", name="New conversation")).to_have_count(0)
    await page.get_by_role("button", name="Show conversations").press("Enter")
    await expect(page.get_by_role("button", name="Hide conversations")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Show conversations")).to_be_focused()
    await expect(page.get_by_role("button", name="New conversation")).to_have_count(0)


async def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    await expect(page.locator("#message")).to_be_focused()
    await page.keyboard.type('[[tool order {"item": "tea"}]] order')
    await page.keyboard.press("Enter")
    await expect(page.locator(".confirm")).to_be_visible()
    while not await page.evaluate("document.activeElement?.dataset.action === 'edit'"):
        await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator(".editor")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("[data-action=edit]")).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(answer(page)).to_contain_text("ordered 1 × tea")
    await expect(page.locator("#message")).to_be_focused()
    while not await page.evaluate("document.activeElement?.tagName === 'SUMMARY'"):
        await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator(".tool-body")).to_be_visible()
    address = page.url
    while await page.evaluate("document.activeElement?.className !== 'skip'"):
        await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#message")).to_be_focused()
    assert page.url == address, "the conversation is still the same"
    await expect(page.locator(".tool-body")).to_be_visible()


async def test_a_screen_reader_hears_sentences_and_not_pieces(page: Page) -> None:
    await page.evaluate(
        """() => {
            window.heard = [];
            const announcer = document.getElementById("announcer");
            new MutationObserver(() => {
                if (announcer.textContent) window.heard.push(announcer.textContent);
            }).observe(announcer, { childList: true });
        }"""
    )
    await ask(page, "[[chunks=10 delay_ms=40]] one two three four five six")
    await page.wait_for_function("() => window.heard.join(' ').includes('tools said:')")
    heard = " ".join(await page.evaluate("window.heard"))
    assert heard == "tools is answering. tools said: Answer to: one two three four five six"
    live = "document.querySelectorAll('#turns [aria-live], #turns[aria-live]').length"
    assert await page.evaluate(live) == 0


async def test_the_colours_can_be_chosen_and_are_remembered(page: Page) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(background)
    await page.get_by_role("button", name="Colours: as the system").click()
    await page.get_by_role("button", name="Colours: light").click()
    dark = await page.evaluate(background)
    assert light != dark
    await page.reload()
    assert await page.evaluate(background) == dark


async def test_the_language_is_the_browsers_until_another_is_chosen(new_page: NewPage) -> None:
    page = await new_page(locale="zh-CN")
    await expect(page.get_by_role("button", name="新对话")).to_be_visible()
    await ask(page, '[[tool add {"a": 1, "b": 2}]] 一加二')
    await expect(page.locator(".tool-status")).to_contain_text("完成")
    await page.get_by_role("link", name="English").click()
    await expect(page.locator(".tool-status")).to_contain_text("Done")
    await page.goto(page.url.partition("?")[0])
    await connected(page)
    await expect(page.get_by_role("button", name="New conversation")).to_be_visible()


async def test_nothing_moves_for_those_who_asked_for_that(new_page: NewPage) -> None:
    page = await new_page(reduced_motion="reduce")
    await say(page, '[[tool order {"item": "tea"}]] order')
    await expect(page.locator(".confirm")).to_be_visible()
    assert await page.evaluate("document.getAnimations().length") == 0
