"""Nothing that a model, a tool, a person or an agent's name says is ever run or fetched.

The watch on every page fails a test for an error on the console, which a blocked script would
be, and for any request to another place.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.acting import ask, say
from tests.browser.conftest import NewPage

PROBES = (
    "<script>window.hacked=1</script>",
    '<img src=x onerror="window.hacked=1">',
    "<svg/onload=window.hacked=1>",
    "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe>",
    "[click](javascript:window.hacked=1)",
    "[click](java&#x73;cript:window.hacked=1)",
    "[click](data:text/html,<script>hacked=1</script>)",
    "<javascript:window.hacked=1>",
    "![x](https://attacker.example/leak.png)",
    '![x](x" onerror="window.hacked=1)',
    '<a href="https://attacker.example" onmouseover="window.hacked=1">x</a>',
    '<form action="https://attacker.example"><input name=x autofocus onfocus="window.hacked=1">',
    "<style>@import 'https://attacker.example/x.css';</style>",
    '<link rel=stylesheet href="https://attacker.example/x.css">',
    '<meta http-equiv=refresh content="0;url=https://attacker.example">',
    "<base href='https://attacker.example/'>",
    '<details open ontoggle="window.hacked=1">',
    "<math><mtext><table><mglyph><style><!--</style><img src onerror=window.hacked=1>",
    '`</code><img src=x onerror="window.hacked=1">`',
    '<p id="page" name="turns" style="position:fixed;inset:0">over everything</p>',
)
ALL = "\n\n".join(PROBES)


@pytest.fixture(scope="module")
def agent_file() -> Path:
    return Path(__file__).parent / "agent_files" / "hostile.py"


async def assert_inert(page: Page) -> None:
    """Everything that could have run has had its chance."""
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))")
    assert await page.evaluate("window.hacked") is None
    foreign = "#turns :is(script, img, iframe, form, style, link, meta, base, object, [style])"
    assert await page.locator(foreign).evaluate_all("found => found.map((e) => e.outerHTML)") == []
    handlers = """[...document.querySelectorAll("#turns *")]
        .flatMap((each) => each.getAttributeNames()).filter((name) => name.startsWith("on"))"""
    assert await page.evaluate(handlers) == []
    hrefs = """[...document.querySelectorAll("#turns a[href]")].map((each) => each.protocol)"""
    assert set(await page.evaluate(hrefs)) <= {"https:", "http:", "mailto:"}


async def test_markdown_of_a_model_is_only_text_at_every_moment_of_its_coming(page: Page) -> None:
    await page.evaluate(
        """async (probes) => {
            const { MarkdownView } = await import("/static/js/chat/markdown.js");
            for (const probe of probes) {
                const view = new MarkdownView(() => {});
                document.getElementById("turns").append(view.element);
                for (let end = 1; end <= probe.length; end += 1) {
                    view.show(probe.slice(0, end), { isLive: false });
                }
            }
        }""",
        PROBES,
    )
    assert await page.locator("#turns > .answer").count() == len(PROBES)
    await assert_inert(page)


async def test_an_answer_full_of_attacks_is_only_text(page: Page) -> None:
    turn = await ask(page, ALL)
    await expect(turn.locator(".bubble")).to_have_text(ALL)
    await expect(turn.locator(".answer")).to_contain_text("<script>window.hacked=1</script>")
    await assert_inert(page)
    await page.reload()
    await expect(page.locator(".copy-answer")).to_have_count(1)
    await assert_inert(page)


ABSURD = {
    "quotes": ">" * 5000,
    "lists": "- " * 5000,
    "brackets": "[" * 40_000,
    "line": "**a " * 20_000,
    "quoted lists": "\n".join("> - " * depth for depth in range(250)),
}


@pytest.mark.parametrize("text", ABSURD.values(), ids=ABSURD.keys())
async def test_markdown_that_nobody_would_write_is_shown_as_it_is(page: Page, text: str) -> None:
    drawn = await page.evaluate(
        """async (text) => {
            const { render } = await import("/static/js/chat/markdown.js");
            return render(text).textContent;
        }""",
        text,
    )
    assert drawn == text


async def test_an_answer_that_cannot_be_drawn_costs_the_others_nothing(page: Page) -> None:
    await ask(page, "before")
    # What no limit foresaw: this is thrown in the middle of drawing.
    await page.evaluate("""() => {
        const { replace } = String.prototype;
        String.prototype.replace = function (...how) {
            if (this.includes("poison")) throw new RangeError("too deep");
            return replace.apply(this, how);
        };
    }""")
    await ask(page, "poison **words**")
    await expect(page.locator(".answer .plain")).to_have_text("Answer to: poison **words**")
    await ask(page, "after")
    await expect(page.locator(".turn")).to_have_count(3)


async def test_arguments_and_results_full_of_attacks_are_only_text(page: Page) -> None:
    arguments = json.dumps({"text": ALL})
    turn = await ask(page, f"[[say {PROBES[1]}]] [[tool repeat {arguments}]] go")
    await turn.locator(".tool summary").click()
    await expect(turn.locator(".tool pre")).to_have_text(ALL)
    await expect(turn.locator(".tool dd")).to_have_text(ALL)
    await assert_inert(page)


async def test_a_question_full_of_attacks_is_only_text(page: Page) -> None:
    await say(page, f"[[tool risky {json.dumps({'text': ALL})}]] go")
    question = page.locator(".confirm")
    await expect(question.locator("dd").first).to_have_text(ALL)
    await question.get_by_role("button", name="Edit arguments").click()
    await assert_inert(page)
    await question.get_by_role("button", name="Back").click()
    await question.get_by_role("button", name="Decline").click()
    await question.get_by_label("Reason").fill(PROBES[1])
    await page.keyboard.press("Enter")
    await expect(page.locator(".copy-answer")).to_be_visible()
    await assert_inert(page)


async def test_arguments_cannot_be_written_backwards(page: Page) -> None:
    masked = "pay \u202e01\u2066"
    await say(page, f"[[tool risky {json.dumps({'text': masked})}]] go")
    question = page.locator(".confirm")
    await expect(question.locator("dd").first).to_have_text("pay ‹U+202E›01‹U+2066›")
    await question.get_by_role("button", name="Edit arguments").click()
    written = await question.get_by_label("text").input_value()
    assert json.loads(written) == masked
    assert written.isascii()


async def test_the_name_and_description_of_an_agent_are_only_text(page: Page) -> None:
    await expect(page.locator("#empty h2")).to_contain_text("Eve <img src=x onerror=")
    await expect(page.locator("#empty .description")).to_contain_text("<script>")
    assert await page.locator("#empty :is(img, script)").count() == 0
    assert await page.evaluate("window.hacked") is None


async def test_the_names_of_conversations_are_only_text(page: Page) -> None:
    await ask(page, PROBES[1])
    await expect(page.locator("#conversations a")).to_have_text(PROBES[1])
    await page.get_by_role("button", name="Delete").first.click()
    await expect(page.locator("#delete-text")).to_contain_text(PROBES[1])
    assert await page.locator("#side img, dialog img").count() == 0
    assert await page.evaluate("window.hacked") is None


async def test_an_address_full_of_attacks_is_only_an_address(new_page: NewPage) -> None:
    page = await new_page(f"?lang={PROBES[1]}")
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await page.goto(f"{page.url.partition('?')[0]}#%3Cimg%20src=x%20onerror=hacked=1%3E")
    await expect(page.locator("#problem")).to_be_visible()
    assert await page.evaluate("window.hacked") is None


async def test_the_page_forbids_what_it_does_not_need(page: Page) -> None:
    response = await page.reload()
    assert response is not None
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-frame-options"] == "DENY"
