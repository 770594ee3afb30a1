"""While a service has no process for it, a chat waits in peace, says so, and goes on by itself.

The server is played by the test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.acting import answer, say
from tests.browser.conftest import PATIENCE_MS, Watch, connected
from tests.browser.test_module import FAKE_SOCKET

SERVER = """
window.server = () => WebSocket.last;
window.sent = () => server().sent.filter(({ event }) => event === "user.message");
window.frame = (fields) => ({ timestamp: new Date().toISOString(), ...fields });
window.tell = (event, fields) => server().say(event, frame({ session_id: "s", ...fields }));
window.accept = () => {
    const { content, metadata } = sent().at(-1);
    const accepted = { ...metadata, run_id: "r", position: 0 };
    server().log(2, "user.message", frame({ content, metadata: accepted }));
};
window.notice = (code, content) => tell("system.notice", { content, metadata: { code } });
window.limit = (fields) => server().say("system.error", frame({
    content: "You have sent 2 messages within a minute.",
    metadata: { code: "rate_limited", retryable: true, ...fields },
}));
window.refuse = (fields) => server().say("system.error", frame({
    content: "It takes no new work.",
    metadata: { code: "service_unavailable", retryable: true, ...fields },
}));
"""


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, site: str, watch: Watch) -> AsyncIterator[Page]:
    """The chat, connected to nobody but the test."""
    context = await browser.new_context(locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    watch.follow(page)
    await page.add_init_script(FAKE_SOCKET + SERVER)
    await page.goto(site)
    await page.evaluate("() => { server().open() }")
    await connected(page)
    yield page
    await context.close()


async def act(page: Page, statements: str) -> None:
    await page.evaluate(f"() => {{ {statements} }}")


async def begin(page: Page) -> None:
    """A question that was taken and is being worked on."""
    await say(page, "What is it like?")
    await act(page, 'server().log(1, "agent.session_created", frame({})); accept()')
    await expect(page.locator(".thinking")).to_contain_text("Thinking")


async def write(page: Page, text: str, offset: int) -> None:
    metadata = f'{{ run_id: "r", step: 1, offset: {offset} }}'
    partial = f'{{ content: "{text}", metadata: {metadata} }}'
    await act(page, f'tell("agent.partial_answer", {partial})')


async def test_a_run_without_a_process_waits_and_goes_on(page: Page) -> None:
    await begin(page)
    await act(page, 'notice("continuing", "Its process has ended.")')
    await expect(page.locator(".thinking")).to_have_text("Its process has ended.")
    await expect(page.locator("#problem")).to_be_hidden()
    await expect(page.locator("#announcer")).to_contain_text("Its process has ended.")
    await expect(page.locator("#link-state")).to_have_attribute("data-state", "open")
    await act(page, 'notice("continued", "It goes on.")')
    await expect(page.locator(".thinking")).to_contain_text("Thinking")
    await act(page, 'tell("agent.thinking", { metadata: { step: 1, status: "started" } })')
    metadata = '{ run_id: "r", steps: 1, duration_ms: 9 }'
    end = f'frame({{ content: "Sunny.", metadata: {metadata} }})'
    await act(page, f'server().log(3, "agent.final_answer", {end})')
    await expect(answer(page)).to_have_text("Sunny.")
    await expect(page.locator(".thinking")).to_be_hidden()


async def test_the_first_sign_of_life_ends_the_wait(page: Page) -> None:
    await begin(page)
    await write(page, "Sun", 0)
    await expect(answer(page)).to_have_text("Sun")
    await act(page, 'notice("waiting", "It waits for a process.")')
    await expect(page.locator(".thinking")).to_have_text("It waits for a process.")
    await expect(answer(page)).to_have_text("Sun")
    await write(page, "ny", 3)
    await expect(answer(page)).to_have_text("Sunny")
    await expect(page.locator(".thinking")).to_be_hidden()


async def test_a_message_that_nobody_takes_yet_is_no_failure(page: Page) -> None:
    await say(page, "Is anybody there?")
    await act(page, "refuse({})")
    turn = page.locator(".turn")
    await expect(turn).to_contain_text("Not taken yet. Trying again")
    await expect(page.locator("#problem")).to_be_hidden()
    creations = 'server().sent.filter(({ event }) => event === "user.create_session").length'
    await page.wait_for_function(f"() => {creations} === 2")
    await act(page, 'server().log(1, "agent.session_created", frame({}))')
    await act(page, "refuse({ session_id: 's', message_id: sent()[0].metadata.message_id })")
    await page.wait_for_function("() => sent().length === 2")
    await act(page, "accept()")
    await expect(turn).not_to_contain_text("Not taken yet")
    await expect(page.locator(".thinking")).to_contain_text("Thinking")


ANSWERED = """tell("agent.final_answer", { seq: 3, content: "Fine.",
    metadata: { run_id: "r", message_id: sent()[0].metadata.message_id } })"""
LIMITED = """limit({ session_id: "s", message_id: sent().at(-1).metadata.message_id,
    limit: "messages_per_minute", retry_after_s: 1 })"""
TAKEN = """server().log(4, "user.message", frame({ content: "And tomorrow?",
    metadata: { ...sent().at(-1).metadata, run_id: "r2", position: 0 } }))"""


async def test_a_message_above_a_limit_stays_and_says_which_it_is(page: Page) -> None:
    await begin(page)
    await act(page, ANSWERED)
    await say(page, "And tomorrow?")
    await act(page, LIMITED)
    turn = page.locator(".turn").last
    await expect(turn).to_contain_text("You have sent 2 messages within a minute.")
    await expect(turn).to_contain_text("And tomorrow?")
    await page.wait_for_function("() => sent().length === 3")
    await act(page, TAKEN)
    await expect(turn).not_to_contain_text("within a minute")


@pytest.mark.parametrize("code", [4013, 4029])
async def test_who_is_sent_away_is_told_why(page: Page, code: int) -> None:
    await act(page, f"refuse({{}}); server().breakOff({code})")
    await expect(page.locator("#link-text")).to_have_text("It takes no new work.")
    await page.wait_for_function("() => WebSocket.all.length === 2")
    await act(page, f"refuse({{}}); server().breakOff({code})")
    await page.wait_for_function("() => WebSocket.all.length === 3")
    await expect(page.locator("#link-text")).to_have_text("It takes no new work.")
    await act(page, "server().open()")
    await connected(page)
    await expect(page.locator("#link-text")).to_have_text("Connected")
    await act(page, "server().breakOff()")
    await expect(page.locator("#link-text")).to_contain_text("Reconnecting")


QUESTION = """server().log(3, "agent.user_confirm", frame({
    step_id: "c",
    content: "Run it?",
    metadata: {
        tool: "order",
        args: { amount: 2 },
        timeout_s: 300,
        description: "Buys it for real.",
        parameters: { properties: { amount: { type: "integer" } } },
    },
}))"""
END = """log(4, "agent.final_answer",
    frame({ content: "Done.", metadata: { run_id: "r", steps: 1, duration_ms: 9 } }))"""


async def test_a_conversation_that_wants_something_is_seen_from_another_one(page: Page) -> None:
    await begin(page)
    await expect(page.locator("#conversations .mark")).to_have_class("mark running")
    await expect(page).to_have_title("… What is it like? – tools")
    await act(page, QUESTION)
    await expect(page).to_have_title("(!) What is it like? – tools")
    await page.get_by_role("button", name="New conversation").click()
    link = page.get_by_role("link", name="Waits for your answer What is it like?")
    await expect(link).to_be_visible()
    await expect(page).to_have_title("(!) tools")
    await page.reload()
    await expect(link).to_be_visible()
    await page.wait_for_function("() => WebSocket.all.length === 2")
    await act(
        page,
        f"""const beside = server().open();
        beside.log(1, "agent.session_created", frame({{}}));
        beside.log(2, "user.message", frame({{ content: "What is it like?",
            metadata: {{ message_id: "m", run_id: "r", position: 0 }} }}));
        {QUESTION}; beside.resume()""",
    )
    await expect(page).to_have_title("(!) tools")
    await act(page, f"server().{END}")
    await expect(page.locator("#conversations .mark")).to_have_count(0)
    await expect(page).to_have_title("tools")
    await expect(page.locator("#announcer")).to_contain_text("has been answered.")


async def test_an_edit_that_is_refused_leaves_the_question_with_the_reason(page: Page) -> None:
    await begin(page)
    await act(page, QUESTION)
    card = page.get_by_role("group", name="Run it?")
    await expect(card).to_have_accessible_description("Buys it for real.")
    await card.get_by_role("button", name="Edit arguments").click()
    await card.get_by_label("amount").fill("-5")
    await card.get_by_role("button", name="Approve with these").click()
    assert await page.evaluate("server().sent.at(-1).content.args") == {"amount": -5}
    await act(
        page,
        """server().say("system.error", { content: "The amount must be at least 1.", metadata:
            { code: "invalid_event", session_id: "s", step_id: "c", retryable: false } })""",
    )
    await expect(card.get_by_role("alert")).to_have_text("The amount must be at least 1.")
    await expect(card.get_by_label("amount")).to_have_value("-5")
    await expect(card.get_by_role("button", name="Approve with these")).to_be_focused()
    await expect(page.locator("#problem")).to_be_hidden()


async def test_a_stopped_answer_keeps_its_text_when_it_is_read_again(page: Page) -> None:
    await begin(page)
    metadata = '{ run_id: "r", effects: [], text: "It was a dark" }'
    end = f'frame({{ content: "The answer was stopped.", metadata: {metadata} }})'
    await act(page, f'server().log(3, "agent.interrupted", {end})')
    await expect(answer(page)).to_have_text("It was a dark")
    await expect(page.locator(".note")).to_contain_text("The answer was stopped.")


async def test_an_answer_that_was_given_up_can_be_asked_for_again(page: Page) -> None:
    await begin(page)
    metadata = '{ run_id: "r", code: "service_unavailable", retryable: true }'
    end = f'frame({{ content: "It is not running.", metadata: {metadata} }})'
    await act(page, f'server().log(3, "agent.error", {end})')
    note = page.locator(".note")
    await expect(note).to_contain_text("It is not running.")
    await note.get_by_role("button", name="Try again").click()
    await expect(page.locator(".turn")).to_have_count(2)
    assert await page.evaluate("sent().map(({ content }) => content)") == ["What is it like?"] * 2
