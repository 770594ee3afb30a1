"""A conversation in a real browser: what people do, and what they see of it."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.browser.acting import answer, ask, say, shown
from tests.browser.conftest import NewPage, Watch, connected
from tests.fake_model_control import FakeModelControl


async def test_an_answer_grows_while_it_is_written(
    page: Page, model: FakeModelControl, nonce: str
) -> None:
    await say(page, f"[[hold {nonce} after=2]] [[hold {nonce}b after=5]] one two three four")
    await model.held(nonce)
    await expect(answer(page)).to_have_class("answer live")
    first = await answer(page).inner_text()
    await model.release(nonce)
    await model.held(f"{nonce}b")
    await expect(answer(page)).not_to_have_text(first)
    second = await answer(page).inner_text()
    await model.release(f"{nonce}b")
    await expect(answer(page)).to_have_text("Answer to: one two three four")
    await expect(answer(page)).to_have_class("answer")
    assert 0 < len(first) < len(second) < len("Answer to: one two three four")
    assert second.startswith(first)


async def test_markdown_is_drawn_and_code_can_be_copied(page: Page) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    turn = await ask(page, "# Title\n\n- **bold** text\n\n```python\nprint(1 < 2)\n```")
    # The fake model joins all lines: one fence is one line.
    await expect(turn.locator(".answer")).to_contain_text("bold")
    await page.evaluate(
        """async () => {
            const { render } = await import("/static/js/chat/markdown.js");
            const text = "# Title\\n\\n- **bold**\\n\\n```python\\nprint(1 < 2)\\n```";
            document.querySelector(".answer").replaceChildren(render(text));
        }"""
    )
    await expect(turn.locator("h3")).to_have_text("Title")
    await expect(turn.locator("li strong")).to_have_text("bold")
    await expect(turn.locator("code .hljs-built_in")).to_have_text("print")
    await turn.locator(".copy-code").click()
    await expect(turn.locator(".copy-code")).to_have_text("Copied")
    assert await page.evaluate("navigator.clipboard.readText()") == "print(1 < 2)\n"


async def test_an_answer_can_be_copied_as_it_was_written(page: Page) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    turn = await ask(page, "some **bold** words")
    await turn.locator(".copy-answer").click()
    assert await page.evaluate("navigator.clipboard.readText()") == "Answer to: some **bold** words"


async def test_a_tool_is_a_card_with_arguments_result_and_time(page: Page) -> None:
    turn = await ask(page, '[[say I will add.]] [[tool add {"a": 20, "b": 3}]] please')
    assert await shown(page) == [
        '[[say I will add.]] [[tool add {"a": 20, "b": 3}]] please',
        "I will add.",
        "Answer to: please (results: 23)",
    ]
    card = turn.locator(".tool")
    await expect(card.locator("summary")).to_contain_text("add")
    await expect(card.locator(".tool-status")).to_contain_text("Done")
    await expect(card.locator(".tool-body")).to_be_hidden()
    await card.locator("summary").click()
    await expect(card.locator("dt")).to_have_text(["a", "b"])
    await expect(card.locator("dd")).to_have_text(["20", "3"])
    await expect(card.locator("pre")).to_have_text("23")


async def test_a_tool_that_fails_says_so_on_its_card(page: Page) -> None:
    turn = await ask(page, "[[tool broken]] please")
    await expect(turn.locator(".tool")).to_have_attribute("data-status", "error")
    await expect(turn.locator(".tool-status")).to_contain_text("Failed")


ORDER = '[[tool order {"item": "tea", "amount": 2}]] order'


async def test_a_tool_runs_after_its_question_was_approved(page: Page) -> None:
    await say(page, ORDER)
    question = page.get_by_role("group", name="Run order with these arguments?")
    await expect(question.locator("dd")).to_have_text(["tea", "2"])
    await question.get_by_role("button", name="Approve").click()
    await expect(answer(page)).to_have_text("Answer to: order (results: ordered 2 × tea)")
    await expect(question).to_have_count(0)
    await expect(page.locator("#message")).to_be_focused()


async def test_arguments_can_be_edited_before_they_are_approved(page: Page) -> None:
    await say(page, ORDER)
    question = page.get_by_role("group", name="Run order with these arguments?")
    await question.get_by_role("button", name="Edit arguments").click()
    await expect(question.get_by_label("item")).to_be_focused()
    await question.get_by_label("item").fill("coffee")
    for nonsense in ("many", "1.5", "--1"):
        await question.get_by_label("amount").fill(nonsense)
        await question.get_by_role("button", name="Approve with these").click()
        await expect(question.get_by_role("alert")).to_have_text(
            "amount: this is not a whole number."
        )
        await expect(question.get_by_label("amount")).to_be_focused()
    await question.get_by_label("amount").fill("5")
    await question.get_by_role("button", name="Approve with these").click()
    await expect(answer(page)).to_contain_text("ordered 5 × coffee")
    await page.locator(".tool summary").click()
    await expect(page.locator(".tool dd")).to_have_text(["coffee", "5"])


async def test_edited_arguments_are_shown_before_the_tool_begins(page: Page) -> None:
    args = await page.evaluate(
        """async () => {
            const { Turns } = await import("/static/js/chat/turns.js");
            const turns = new Turns(() => {});
            const at = { timestamp: "2026-01-01T00:00:00Z" };
            const event = (event, content, metadata) => turns.take(
                { event, content, metadata, seq: 1, step_id: "c", ...at });
            event("user.message", "go", { message_id: "m", run_id: "r", position: 0 });
            event("agent.user_confirm", "May it?", { tool: "t", args: { a: 1 }, timeout_s: 9 });
            event("user.response", { approved: true, args: { a: 2 } }, {});
            return turns.current.blocks[0].args;
        }"""
    )
    assert args == {"a": 2}


LONG_ORDER = '[[tool order {"item": "tea", "amount": 9007199254740993}]] order'


async def test_a_number_of_any_length_is_shown_and_edited_digit_by_digit(page: Page) -> None:
    await say(page, LONG_ORDER)
    question = page.get_by_role("group", name="Run order with these arguments?")
    await expect(question.locator("dd")).to_have_text(["tea", "9007199254740993"])
    await question.get_by_role("button", name="Edit arguments").click()
    await question.get_by_label("item").fill("milk")
    await question.get_by_role("button", name="Approve with these").click()
    await expect(answer(page)).to_contain_text("ordered 9007199254740993 × milk")


async def test_numbers_that_the_browser_rounds_are_not_edited(new_page: NewPage) -> None:
    page = await new_page()
    await page.context.add_init_script("delete JSON.rawJSON")
    await page.reload()
    await say(page, LONG_ORDER)
    question = page.get_by_role("group", name="Run order with these arguments?")
    await expect(question).to_contain_text("Your browser rounds a number")
    await expect(question.get_by_role("button", name="Edit arguments")).to_be_disabled()


async def test_a_result_is_only_indented_if_nothing_of_it_is_lost(page: Page) -> None:
    shown = await page.evaluate(
        """async (results) => {
            const { ToolView } = await import("/static/js/chat/tool_view.js");
            return results.map((result) => {
                const view = new ToolView({ tool: "t", status: "success", result }, () => {});
                view.update();
                return view.element.querySelector("pre").textContent;
            });
        }""",
        ['{"n": 9007199254740993, "é": "\\u00e9"}', '{"a": 1, "a": 2}', "[1.00]", "[nothing"],
    )
    assert shown == [
        '{\n  "n": 9007199254740993,\n  "é": "é"\n}',
        '{"a": 1, "a": 2}',
        "[1.00]",
        "[nothing",
    ]


async def test_an_enter_that_declines_leaves_no_line_in_the_message(page: Page) -> None:
    await say(page, ORDER)
    await page.get_by_role("button", name="Decline").click()
    await page.get_by_label("Reason").fill("no")
    await page.keyboard.press("Enter")
    await expect(page.locator("#message")).to_be_focused()
    assert await page.locator("#message").input_value() == ""


async def test_a_question_can_be_declined_with_a_reason(page: Page, nonce: str) -> None:
    await say(page, ORDER)
    question = page.get_by_role("group", name="Run order with these arguments?")
    await question.get_by_role("button", name="Decline").click()
    await question.get_by_label("Reason").fill(f"too dear {nonce}")
    await question.get_by_role("button", name="Decline").click()
    await expect(answer(page)).to_contain_text(nonce)
    card = page.locator(".tool")
    await expect(card).to_have_attribute("data-status", "declined")
    await expect(card.locator(".tool-status")).to_have_text("Declined")
    await card.locator("summary").click()
    await expect(card).to_contain_text(f"Your words: too dear {nonce}")


async def test_a_question_answered_elsewhere_is_answered_here(
    page: Page, new_page: NewPage
) -> None:
    await say(page, ORDER)
    await expect(page.locator(".confirm")).to_be_visible()
    other = await new_page(f"#{page.url.partition('#')[2]}")
    await other.get_by_role("button", name="Approve").click()
    await expect(page.locator(".confirm")).to_have_count(0)
    await expect(answer(page)).to_contain_text("ordered 2 × tea")


async def test_an_answer_can_be_stopped(page: Page, model: FakeModelControl, nonce: str) -> None:
    await say(page, f"[[hold {nonce} after=3]] a long story")
    await model.held(nonce)
    await expect(answer(page)).to_contain_text("Answ")
    await page.get_by_role("button", name="Stop the answer").click()
    await expect(page.locator(".note")).to_contain_text("The answer was stopped.")
    await expect(page.locator("#stop")).to_be_hidden()
    await expect(page.locator(".live")).to_have_count(0)
    written = await answer(page).inner_text()
    await page.reload()
    await expect(answer(page)).to_have_text(written)
    await page.get_by_role("button", name="Try again").dblclick()
    await expect(page.locator(".turn")).to_have_count(2)
    await model.held(nonce)
    await expect(page.locator("#queue li")).to_have_count(0)
    await model.release(nonce)
    await expect(answer(page)).to_have_text("Answer to: a long story")


async def test_messages_wait_while_the_agent_works_and_can_be_taken_back(
    page: Page, model: FakeModelControl, nonce: str
) -> None:
    await say(page, f"[[hold {nonce}]] first")
    await model.held(nonce)
    for text in ("second", "third", "fourth"):
        await say(page, text)
    queue = page.locator("#queue li")
    await expect(queue).to_contain_text(["second", "third", "fourth"])
    await expect(page.locator(".turn")).to_have_count(1)
    await page.get_by_role("button", name="Remove “third”").click()
    await expect(queue).to_contain_text(["second", "fourth"])
    await model.release(nonce)
    await expect(page.locator(".copy-answer")).to_have_count(3)
    said = [
        f"[[hold {nonce}]] first",
        "Answer to: first",
        *("second", "Answer to: second"),
        *("fourth", "Answer to: fourth"),
    ]
    assert await shown(page) == said
    await expect(page.locator("#queue")).to_be_hidden()
    await page.reload()
    await expect(page.locator(".copy-answer")).to_have_count(3)
    assert await shown(page) == said


async def test_a_reload_shows_all_that_was_there(page: Page) -> None:
    await ask(page, '[[say Let me see.]] [[tool add {"a": 1, "b": 1}]] 你好 🎯')
    await ask(page, "again")
    before = await shown(page)
    await page.reload()
    await expect(page.locator(".copy-answer")).to_have_count(2)
    assert await shown(page) == before
    await expect(page.locator(".tool-status")).to_contain_text("Done")


async def test_a_reload_in_the_middle_of_an_answer_goes_on_with_it(
    page: Page, model: FakeModelControl, nonce: str
) -> None:
    await say(page, f"[[hold {nonce} after=4]] all of it")
    await model.held(nonce)
    await expect(answer(page)).to_contain_text("Ans")
    await page.reload()
    await expect(answer(page)).to_contain_text("Ans")
    await model.release(nonce)
    await expect(answer(page)).to_have_text("Answer to: all of it")


async def test_conversations_are_listed_renamed_and_deleted(page: Page, watch: Watch) -> None:
    # It is loaded anew as soon as it shows the list: its socket may not be open by then.
    watch.excuse("closed before the connection is established")
    await ask(page, "apples")
    await page.get_by_role("button", name="New conversation").click()
    await expect(page.locator("#empty")).to_be_visible()
    await ask(page, "pears")
    listed = page.locator("#conversations a")
    await expect(listed).to_have_text(["pears", "apples"])
    await expect(listed.first).to_have_attribute("aria-current", "page")

    await listed.last.click()
    await expect(page.locator(".bubble")).to_have_text("apples")
    await expect(page.locator("#title")).to_have_text("apples")

    await page.get_by_role("button", name="Rename “apples”").click()
    await page.get_by_label("New name").fill("Fruit")
    await page.keyboard.press("Enter")
    await expect(listed).to_have_text(["pears", "Fruit"])
    await expect(page.locator("#title")).to_have_text("Fruit")
    await page.reload()
    await expect(listed).to_have_text(["pears", "Fruit"])

    address = page.url
    await page.get_by_role("button", name="Delete “Fruit”").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(listed).to_have_text(["pears"])
    await expect(page.locator("#empty")).to_be_visible()
    await page.goto(address)
    await expect(page.locator("#problem")).to_contain_text("has ended")
    await expect(page.locator("#message")).to_be_disabled()


async def test_a_draft_stays_with_its_conversation(page: Page) -> None:
    await ask(page, "apples")
    field = page.locator("#message")
    await field.fill("about apples")
    await page.get_by_role("button", name="New conversation").click()
    await expect(field).to_have_value("")
    await field.fill("something new")
    await page.locator("#conversations a").click()
    await expect(field).to_have_value("about apples")
    await page.reload()
    await expect(field).to_have_value("about apples")
    await page.get_by_role("button", name="New conversation").click()
    await expect(field).to_have_value("something new")
    await ask(page, "pears")
    await page.get_by_role("button", name="New conversation").click()
    await expect(field).to_have_value("")


async def test_an_enter_that_renames_does_nothing_else(page: Page) -> None:
    await ask(page, "apples")
    await page.locator("#message").fill("a draft")
    await page.get_by_role("button", name="Rename “apples”").click()
    await page.get_by_label("New name").fill("Fruit")
    await page.keyboard.press("Enter")
    await expect(page.locator("#conversations a")).to_be_focused()
    await expect(page.locator("#message")).to_have_value("a draft")
    await page.get_by_role("button", name="Rename “Fruit”").click()
    await page.keyboard.press("Escape")
    await expect(page.locator("#conversations a")).to_have_text("Fruit")


async def test_the_focus_stays_in_the_list_when_the_list_changes(
    page: Page, model: FakeModelControl, nonce: str
) -> None:
    await ask(page, "apples")
    await page.get_by_role("button", name="New conversation").click()
    await ask(page, "pears")
    button = page.get_by_role("button", name="Rename “apples”")
    await button.focus()
    other = await page.context.new_page()
    await other.goto(page.url)
    await connected(other)
    await other.get_by_role("button", name="Rename “apples”").click()
    await other.get_by_label("New name").fill("plums")
    await other.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Rename “plums”")).to_be_focused()


async def test_a_list_that_somebody_else_has_written_into_still_works(page: Page) -> None:
    await ask(page, "apples")
    await page.evaluate("""() => {
        const key = Object.keys(localStorage).find((each) => each.includes("conversations"));
        const all = JSON.parse(localStorage[key]);
        const bad = [null, 7, { id: "a" }, { id: "b", title: "b", at: "soon" },
            { id: "c", title: "c", at: 1e300 }, { id: "d", title: {}, at: 0 }];
        localStorage[key] = JSON.stringify([...bad, ...all]);
    }""")
    await page.reload()
    await expect(page.locator("#conversations a")).to_have_text(["apples"])


async def test_a_long_conversation_is_listed_once_when_it_is_opened(page: Page) -> None:
    for text in ("one", "two", "three"):
        await ask(page, text)
    await page.evaluate("localStorage.clear()")
    await page.add_init_script("""{
        window.listed = 0;
        const { setItem } = Storage.prototype;
        Storage.prototype.setItem = function (key, value) {
            if (key.includes("conversations")) listed += 1;
            setItem.call(this, key, value);
        };
    }""")
    await page.reload()
    await expect(page.locator("#conversations a")).to_have_text("one")
    await expect(page.locator(".copy-answer")).to_have_count(3)
    assert await page.evaluate("listed") == 1


async def test_a_conversation_that_was_deleted_stays_off_the_list(page: Page) -> None:
    await ask(page, "apples")
    address = page.url
    await page.get_by_role("button", name="Delete “apples”").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.locator("#empty")).to_be_visible()
    other = await page.context.new_page()
    await other.goto(address)
    await expect(other.locator("#problem")).to_contain_text("has ended")
    await expect(other.locator("#conversations a")).to_have_count(0)


async def test_back_goes_to_the_conversation_before(page: Page) -> None:
    await ask(page, "apples")
    await page.get_by_role("button", name="New conversation").click()
    await ask(page, "pears")
    await page.go_back()
    await expect(page.locator(".bubble")).to_have_text("apples")


@pytest.mark.parametrize("name", ["00000000-0000-4000-8000-000000000000", "%E4"])
async def test_a_conversation_that_is_not_there_is_said_to_be_gone(
    new_page: NewPage, name: str
) -> None:
    page = await new_page()
    await page.goto(f"{page.url}#{name}")
    await page.reload()
    await expect(page.locator("#problem")).to_contain_text("no longer there")
    await page.get_by_role("button", name="New conversation").click()
    await connected(page)
    await ask(page, "still alive")


async def test_enter_sends_and_an_input_method_is_left_alone(page: Page) -> None:
    field = page.locator("#message")
    await field.fill("ni")
    for state in ({"isComposing": True}, {"keyCode": 229}):
        await field.dispatch_event("keydown", {"key": "Enter", "bubbles": True, **state})
    await expect(page.locator(".turn")).to_have_count(0)
    await field.press("Shift+Enter")
    await field.press_sequentially("hao")
    assert await field.input_value() == "ni\nhao"
    await field.press("Enter")
    await expect(page.locator(".bubble")).to_have_text("ni\nhao")
    assert await field.input_value() == ""


async def test_reading_is_not_disturbed_by_what_is_written(
    page: Page, model: FakeModelControl, nonce: str
) -> None:
    await ask(page, "word " * 3000)
    scroller = page.locator("#scroller")
    at_end = "node => node.scrollHeight - node.scrollTop - node.clientHeight < 2"
    assert await scroller.evaluate(at_end)
    await say(page, f"[[hold {nonce} after=2]] " + "word " * 2000)
    await model.held(nonce)
    await scroller.evaluate("node => { node.scrollTop = 100; }")
    await expect(page.get_by_role("button", name="Jump to the latest")).to_be_visible()
    await model.release(nonce)
    await expect(page.locator(".copy-answer")).to_have_count(2)
    assert await scroller.evaluate("node => node.scrollTop") == 100
    await page.get_by_role("button", name="Jump to the latest").click()
    assert await scroller.evaluate(at_end)


async def test_a_reader_is_left_in_peace_before_the_browser_tells_of_the_scrolling(
    page: Page, model: FakeModelControl, nonce: str
) -> None:
    await ask(page, "word " * 3000)
    await say(page, f"[[hold {nonce} after=2]] " + "word " * 2000)
    await model.held(nonce)
    await expect(page.locator(".answer")).to_have_count(2)
    top = await page.locator("#scroller").evaluate("""node => {
        addEventListener("scroll", event => event.stopImmediatePropagation(), true);
        node.scrollTop = 100;
        return node.scrollTop;
    }""")
    await model.release(nonce)
    await expect(page.locator(".copy-answer")).to_have_count(2)
    assert await page.locator("#scroller").evaluate("node => node.scrollTop") == top == 100
    await expect(page.get_by_role("button", name="Jump to the latest")).to_be_visible()


async def test_a_message_that_is_too_large_is_kept_and_said(page: Page) -> None:
    await page.locator("#message").fill("x" * 262_145)
    await page.locator("#send").click()
    await expect(page.locator("#problem")).to_contain_text("256 KiB")
    assert len(await page.locator("#message").input_value()) == 262_145


async def test_half_a_character_is_kept_and_said(page: Page) -> None:
    await page.locator("#message").evaluate("""field => {
        field.value = "half \\ud83c";
        field.dispatchEvent(new Event("input"));
    }""")
    await page.locator("#send").click()
    await expect(page.locator("#problem")).to_contain_text("an invalid character")
    assert await page.locator("#message").evaluate("field => field.value") == "half \ud83c"


async def test_a_response_that_cannot_be_sent_may_be_given_anew(page: Page) -> None:
    await say(page, ORDER)
    question = page.get_by_role("group", name="Run order with these arguments?")
    await question.get_by_role("button", name="Edit arguments").click()
    await question.get_by_label("item").fill("x" * 530_000)
    await question.get_by_role("button", name="Approve with these").click()
    await expect(question.get_by_role("alert")).to_contain_text("too large")
    await question.get_by_label("item").fill("milk")
    await question.get_by_role("button", name="Approve with these").click()
    await expect(answer(page)).to_contain_text("ordered 2 × milk")


async def test_a_model_that_fails_is_a_sentence_and_a_second_try(page: Page, nonce: str) -> None:
    await say(page, f"[[status 400 times=1]] {nonce}")
    note = page.locator(".turn[data-status=error] .note")
    await expect(note).to_be_visible()
    await note.get_by_role("button", name="Try again").press("Enter")
    await expect(page.locator("#message")).to_be_focused()
    await expect(answer(page)).to_have_text(f"Answer to: {nonce}")
