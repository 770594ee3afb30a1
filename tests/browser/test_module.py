"""`static/js/myagent.js` against a server of the test's own, with a clock of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

FAKE_SOCKET = (Path(__file__).parent / "fake_socket.js").read_text(encoding="utf-8")

SET_UP = """async () => {
    const { connect } = await import("/static/js/myagent.js");
    window.start = (options = {}) => {
        window.heard = [];
        window.states = [];
        window.chat = connect("/", { ...options, on: {
            "*": (frame) => frame.seq && heard.push(frame.seq),
            state: ({ state }) => states.push(state),
        } });
        return WebSocket.last;
    };
}"""

Do = Callable[[str], Awaitable[Any]]


@pytest_asyncio.fixture(loop_scope="session")
async def blank(browser: Browser, site: str) -> AsyncIterator[Page]:
    """A page without a chat."""
    # The page of /health may load nothing by its policy.
    page = await browser.new_page(bypass_csp=True)
    await page.clock.install()
    await page.goto(f"{site}health")
    await page.evaluate(FAKE_SOCKET)
    await page.evaluate(SET_UP)
    yield page
    await page.close()


@pytest.fixture
def do(blank: Page) -> Do:
    """Runs statements with `start()`, `chat`, `heard` and `states`; gives what they return."""

    async def run(statements: str) -> Any:
        return await blank.evaluate(f"() => {{ {statements} }}")

    return run


async def test_a_session_is_created_with_the_first_message(do: Do) -> None:
    assert await do("const s = start({lang: 'zh-CN'}).open(); return s.sent") == []
    sent = await do(
        """chat.send("hello", { messageId: "m" });
        WebSocket.last.log(1, "agent.session_created");
        return WebSocket.last.sent"""
    )
    assert sent == [
        {"event": "user.create_session", "metadata": {"lang": "zh-CN"}},
        {
            "event": "user.message",
            "session_id": "s",
            "content": "hello",
            "metadata": {"message_id": "m"},
        },
    ]
    assert await do("return [chat.sessionId, chat.state]") == ["s", "open"]


async def test_durable_events_are_handed_on_once_and_in_order(do: Do) -> None:
    heard = await do(
        """const s = start({ sessionId: "s" }).open().resume();
        for (const seq of [1, 2, 2, 1, 3]) s.log(seq, "agent.thinking");
        return heard"""
    )
    assert heard == [1, 2, 3]


async def test_a_gap_is_closed_by_going_back_to_the_log(blank: Page, do: Do) -> None:
    await do(
        """const s = start({ sessionId: "s" }).open().resume();
        s.log(1, "agent.thinking").log(3, "agent.thinking")"""
    )
    assert await do("return [heard, chat.state, WebSocket.last.readyState]") == [[1], "waiting", 3]
    await blank.clock.run_for(1_000)
    assert await do("return WebSocket.last.open().sent") == [
        {"event": "user.reconnect", "session_id": "s", "metadata": {"last_seq": 1}}
    ]
    await do("WebSocket.last.log(2, 'agent.thinking').log(3, 'agent.thinking').resume()")
    assert await do("return [heard, chat.state]") == [[1, 2, 3], "open"]


async def test_frames_of_a_socket_that_was_given_up_are_not_heard(blank: Page, do: Do) -> None:
    await do(
        """window.old = start({ sessionId: "s" }).open().resume();
        old.log(1, "agent.thinking").log(3, "agent.thinking")"""
    )
    await blank.clock.run_for(1_000)
    await do("WebSocket.last.open().resume(); old.log(2, 'agent.thinking'); old.breakOff()")
    assert await do("return [heard, chat.state]") == [[1], "open"]


async def test_what_was_not_acknowledged_is_sent_again_as_it_was(blank: Page, do: Do) -> None:
    await do(
        """const s = start({ sessionId: "s" }).open().resume();
        chat.send("first", { messageId: "m1" });
        chat.send("second", { messageId: "m2" });
        chat.respond("call", { approved: true });
        chat.cancel({ runId: "r" });
        s.log(1, "user.message", { metadata: { message_id: "m1", run_id: "r", position: 0 } });
        s.breakOff()"""
    )
    await blank.clock.run_for(1_000)
    sent = await do("return WebSocket.last.open().resume().sent.slice(1)")
    assert [frame["event"] for frame in sent] == ["user.message", "user.response", "user.cancel"]
    assert sent[0]["metadata"]["message_id"] == "m2"
    await do(
        """WebSocket.last
            .say("user.message",
                { session_id: "s", metadata: { message_id: "m2", duplicate: true } })
            .log(2, "user.response", { step_id: "call", content: { approved: true } })
            .log(3, "user.cancel", { metadata: { run_id: "r" } })
            .breakOff()"""
    )
    await blank.clock.run_for(1_000)
    assert len(await do("return WebSocket.last.open().resume().sent")) == 1
    assert await do("return chat.pending") == []


async def test_all_can_be_cancelled_while_one_is_being_cancelled(do: Do) -> None:
    sent = await do(
        """const s = start({ sessionId: "s" }).open().resume();
        chat.cancel({ runId: "r" });
        chat.cancel({ runId: "r" });
        chat.cancel({ runId: "r", all: true });
        return s.sent.slice(1)"""
    )
    assert [frame["metadata"] for frame in sent] == [
        {"run_id": "r"},
        {"run_id": "r", "all": True},
    ]


async def test_a_cancel_names_the_current_run_so_that_it_cannot_stop_the_next(do: Do) -> None:
    sent = await do(
        """const s = start({ sessionId: "s" }).open().resume();
        s.log(1, "user.message", { metadata: { message_id: "a", run_id: "ra", position: 0 } });
        s.log(2, "user.message", { metadata: { message_id: "b", run_id: "rb", position: 1 } });
        s.log(3, "agent.final_answer", { metadata: { message_id: "a", run_id: "ra" } });
        chat.cancel();
        return s.sent.at(-1)"""
    )
    assert sent["metadata"] == {"run_id": "rb"}


async def test_a_refused_message_is_tried_again_only_if_that_may_help(blank: Page, do: Do) -> None:
    await do(
        """window.refused = [];
        const s = start({ sessionId: "s" }).open().resume();
        chat.on("refused", ({ messageId, code }) => refused.push([messageId, code]));
        chat.send("a", { messageId: "a" });
        chat.send("b", { messageId: "b" });
        const error = (message_id, code, retryable) => s.say("system.error",
            { metadata: { session_id: "s", message_id, code, retryable } });
        error("a", "rate_limited", true);
        error("b", "too_large", false);
        s.sent.length = 0"""
    )
    assert await do("return refused") == [["b", "too_large"]]
    await blank.clock.run_for(1_000)
    assert await do("return WebSocket.last.sent.map((frame) => frame.content)") == ["a"]


async def test_a_message_above_a_limit_waits_as_long_as_the_server_says(
    blank: Page, do: Do
) -> None:
    await do(
        """const s = start({ sessionId: "s" }).open().resume();
        chat.send("a", { messageId: "a" });
        s.say("system.error", { metadata: { session_id: "s", message_id: "a", code: "rate_limited",
            limit: "messages_per_minute", retryable: true, retry_after_s: 20 } });
        s.sent.length = 0"""
    )
    await blank.clock.run_for(15_000)
    await do("WebSocket.last.say('system.heartbeat')")
    assert await do("return WebSocket.last.sent.map((frame) => frame.content)") == []
    await blank.clock.run_for(6_000)
    assert await do("return WebSocket.last.sent.map((frame) => frame.content)") == ["a"]


LIMITED = """(s, id) => s.say("system.error", { metadata: { session_id: "s", message_id: id,
    code: "rate_limited", limit: "messages_per_minute", retryable: true, retry_after_s: 60 } })"""


async def run_quietly(blank: Page, seconds: int) -> None:
    """On a connection that lives."""
    for _ in range(seconds // 5):
        await blank.clock.run_for(5_000)
        await blank.evaluate("WebSocket.last.say('system.heartbeat')")


async def test_no_message_overtakes_one_above_a_limit_and_a_cancel_does(
    blank: Page, do: Do
) -> None:
    await do(
        f"""const s = start({{ sessionId: "s" }}).open().resume();
        chat.send("a", {{ messageId: "a" }});
        ({LIMITED})(s, "a");
        s.sent.length = 0;
        chat.send("b", {{ messageId: "b" }});
        chat.cancel({{ runId: "r" }})"""
    )
    sent = "return WebSocket.last.sent.map((frame) => frame.content ?? frame.event)"
    assert await do(sent) == ["user.cancel"]
    await do("WebSocket.last.log(1, 'user.cancel', { metadata: { run_id: 'r' } })")
    await run_quietly(blank, 55)
    assert await do(sent) == ["user.cancel"]
    await run_quietly(blank, 10)
    assert await do(sent) == ["user.cancel", "a", "b"]


async def test_a_message_above_a_limit_is_held_back_on_the_next_connection_too(
    blank: Page, do: Do
) -> None:
    await do(
        f"""const s = start({{ sessionId: "s" }}).open().resume();
        chat.send("a", {{ messageId: "a" }});
        ({LIMITED})(s, "a");
        s.breakOff()"""
    )
    await blank.clock.run_for(1_000)
    await do("WebSocket.last.open().resume().sent.length = 0; chat.send('b', {messageId: 'b'})")
    sent = "return WebSocket.last.sent.map((frame) => frame.content)"
    await run_quietly(blank, 50)
    assert await do(sent) == []
    await run_quietly(blank, 15)
    assert await do(sent) == ["a", "b"]


async def test_a_short_wait_is_not_lengthened_by_the_wait_of_another(blank: Page, do: Do) -> None:
    await do(
        f"""const s = start({{ sessionId: "s" }}).open().resume();
        chat.respond("call", {{ approved: true }});
        chat.send("a", {{ messageId: "a" }});
        s.say("system.error", {{ metadata: {{ session_id: "s", step_id: "call",
            code: "storage_unavailable", retryable: true }} }});
        ({LIMITED})(s, "a");
        s.sent.length = 0"""
    )
    await blank.clock.run_for(1_000)
    sent = "return WebSocket.last.sent.map((frame) => frame.event)"
    assert await do(sent) == ["user.response"]
    await do("WebSocket.last.log(1, 'user.response', { step_id: 'call' })")
    await run_quietly(blank, 65)
    assert await do(sent) == ["user.response", "user.message"]


async def test_a_message_is_given_back_when_it_is_refused_again_and_again(
    blank: Page, do: Do
) -> None:
    await do(
        """window.refused = 0;
        start({ sessionId: "s" }).open().resume();
        chat.on("refused", () => refused++);
        chat.send("a", { messageId: "a" });
        chat.on("pending", () => (window.left = chat.pending.length))"""
    )
    for _ in range(12):
        await do(
            """WebSocket.last.say("system.error", { metadata:
                { session_id: "s", message_id: "a", code: "internal_error", retryable: true } })"""
        )
        for _ in range(4):
            await blank.clock.run_for(4_000)
            await do("WebSocket.last.say('system.heartbeat')")
    assert await do("return [refused, left]") == [1, 0]


async def test_text_is_put_together_by_its_offsets_in_code_points(do: Do) -> None:
    texts = await do(
        """const s = start({ sessionId: "s" }).open().resume();
        const texts = [];
        chat.on("text", ({ text }) => texts.push(text));
        const piece = (offset, content, step = 1) => s.say("agent.partial_answer",
            { session_id: "s", content, metadata: { run_id: "r", step, offset } });
        piece(0, "a🎯"); piece(2, "b"); piece(2, "b"); piece(1, "龍");
        piece(0, "again"); piece(0, "x", 2);
        return texts"""
    )
    assert texts == ["a🎯", "a🎯b", "a🎯b", "a龍", "again", "x"]


async def test_a_hole_in_the_text_is_filled_by_asking_for_all_of_it(do: Do) -> None:
    sent = await do(
        """const s = start({ sessionId: "s" }).open().resume();
        window.texts = [];
        chat.on("text", ({ text }) => texts.push(text));
        s.say("agent.partial_answer",
            { session_id: "s", content: "late", metadata: { run_id: "r", step: 1, offset: 7 } });
        s.say("agent.partial_answer",
            { session_id: "s", content: "r", metadata: { run_id: "r", step: 1, offset: 11 } });
        return s.sent.slice(1)"""
    )
    assert [frame["event"] for frame in sent] == ["user.reconnect"], "asked for once"
    assert await do("return texts") == []


async def test_a_message_that_leaves_the_queue_disturbs_no_answer(do: Do) -> None:
    texts = await do(
        """const s = start({ sessionId: "s" }).open().resume();
        const texts = [];
        chat.on("text", ({ text }) => texts.push(text));
        const say = (run_id, position) => ({ metadata: { run_id, message_id: run_id, position } });
        const piece = (offset, content) => s.say("agent.partial_answer",
            { session_id: "s", content, metadata: { run_id: "r", step: 1, offset } });
        s.log(1, "user.message", say("r", 0)).log(2, "user.message", say("q", 1));
        piece(0, "one ");
        s.log(3, "agent.interrupted", say("q"));
        piece(4, "answer");
        return [texts, s.sent.length]"""
    )
    assert texts == [["one ", "one answer"], 1]


async def test_a_log_that_was_pruned_is_read_from_its_oldest_event(do: Do) -> None:
    heard = await do(
        """const s = start({ sessionId: "s", lastSeq: 90 }).open();
        let resets = 0;
        chat.on("reset", () => resets++);
        s.say("agent.session_resumed", { session_id: "s", metadata: { resync: true } });
        for (const seq of [41, 42, 43]) s.log(seq, "agent.thinking");
        s.say("agent.replay_complete", { session_id: "s" });
        return [heard, resets, chat.lastSeq]"""
    )
    assert heard == [[41, 42, 43], 1, 43]


@pytest.mark.parametrize("code", [4001, 4003, 4004, 4400])
async def test_some_doors_stay_closed(blank: Page, do: Do, code: int) -> None:
    await do(f"start().open().breakOff({code})")
    await blank.clock.run_for(60_000)
    assert await do("return [chat.state, WebSocket.all.length]") == ["closed", 1]


@pytest.mark.parametrize("code", [4008, 4012])
async def test_some_doors_open_again_at_once(blank: Page, do: Do, code: int) -> None:
    await do(f"start().open().breakOff({code})")
    await blank.clock.run_for(200)
    assert await do("return WebSocket.all.length") == 2


async def test_waits_grow_to_a_limit_and_differ(blank: Page, do: Do) -> None:
    await do(
        """window.waits = [];
        start().open();
        chat.on("state", ({ retryInMs }) => retryInMs && waits.push(retryInMs))"""
    )
    for _ in range(12):
        await do("WebSocket.last.breakOff()")
        await blank.clock.run_for(await do("return Math.ceil(waits.at(-1)) + 1"))
    waits = await do("return waits")
    assert len(waits) == 12
    assert all(250 * 2**n <= wait <= 500 * 2**n for n, wait in enumerate(waits[:5]))
    assert all(7_500 <= wait <= 15_000 for wait in waits[5:])
    assert len({round(wait) for wait in waits}) > 8


async def test_a_silent_connection_counts_as_dead(blank: Page, do: Do) -> None:
    await do("start({ sessionId: 's' }).open().resume()")
    await blank.clock.run_for(30_000)
    await do("WebSocket.last.say('system.heartbeat')")
    await blank.clock.run_for(30_000)
    assert await do("return WebSocket.all.length") == 1
    await blank.clock.run_for(12_000)
    assert await do("return WebSocket.all.length") == 2


async def test_a_connection_that_says_nothing_to_what_is_sent_is_asked_and_given_up(
    blank: Page, do: Do
) -> None:
    await do("start({ sessionId: 's' }).open().resume(); chat.send('a', { messageId: 'a' })")
    await blank.clock.run_for(11_000)
    assert await do("return WebSocket.last.sent.map(({ event }) => event)") == [
        "user.reconnect",
        "user.message",
        "user.reconnect",
    ]
    await blank.clock.run_for(6_000)
    assert await do("return [states.at(-1), WebSocket.all.length]") == ["connecting", 2]
    await do("WebSocket.last.open().resume()")
    assert await do("return WebSocket.last.sent.at(-1).metadata.message_id") == "a"


async def test_a_handshake_that_never_ends_is_given_up(blank: Page, do: Do) -> None:
    await do("start()")
    await blank.clock.run_for(11_000)
    assert await do("return WebSocket.all.length") == 2


async def test_a_network_that_is_back_is_used_at_once(do: Do) -> None:
    await do("start({ sessionId: 's' }).open().breakOff(); dispatchEvent(new Event('online'))")
    assert await do("return WebSocket.all.length") == 2


async def test_a_page_that_is_looked_at_again_asks_whether_its_connection_lives(
    blank: Page, do: Do
) -> None:
    await do(
        """start({ sessionId: 's' }).open().resume();
        document.dispatchEvent(new Event('visibilitychange'))"""
    )
    assert await do("return WebSocket.last.sent.length") == 2
    await blank.clock.run_for(6_000)
    assert await do("return [states.slice(-2), WebSocket.all.length]") == [
        ["waiting", "connecting"],
        2,
    ]


async def test_a_listener_that_fails_costs_nobody_else_anything(do: Do) -> None:
    heard = await do(
        """window.onerror = () => true;
        start({ sessionId: "s" });
        chat.on("agent.thinking", () => { throw new Error("mine"); });
        WebSocket.last.open().resume().log(1, "agent.thinking").log(2, "agent.thinking");
        return heard"""
    )
    assert heard == [1, 2]


async def test_a_conversation_that_is_not_there_is_not_asked_for_again(blank: Page, do: Do) -> None:
    await do(
        """start({ sessionId: "s" }).open().say("system.error",
            { metadata: { code: "unknown_session", session_id: "s", retryable: false } })"""
    )
    await blank.clock.run_for(60_000)
    assert await do("return [chat.state, WebSocket.all.length]") == ["closed", 1]


async def test_leaving_is_final_and_quiet(blank: Page, do: Do) -> None:
    await do("start({ sessionId: 's' }).open().resume(); chat.close(); chat.close()")
    await blank.clock.run_for(60_000)
    assert await do("return [states.at(-1), WebSocket.all.length]") == ["closed", 1]


async def test_integers_keep_their_digits_on_their_way_there_and_back(do: Do) -> None:
    sent = await do(
        """const s = start({ sessionId: "s" }).open().resume();
        chat.on("agent.user_confirm", (frame) =>
            chat.respond(frame.step_id, { approved: true, args: frame.metadata.args }));
        window.sent = [];
        s.send = (data) => sent.push(data);
        s.onmessage({ data: `{"event": "agent.user_confirm", "session_id": "s", "seq": 1,
            "step_id": "c", "metadata": {"args": {"id": 9007199254740993, "x": [1.5, 7]}}}` });
        return sent"""
    )
    assert '"args":{"id":9007199254740993,"x":[1.5,7]}' in sent[0]


async def test_what_the_server_could_not_read_is_not_sent(do: Do) -> None:
    errors = await do(
        """const s = start({ sessionId: "s" }).open().resume();
        const errors = [];
        const attempt = (act) => { try { act(); } catch (error) { errors.push(error.name); } };
        attempt(() => chat.send("half \\ud800"));
        attempt(() => chat.send("\\u0001".repeat(200_000)));
        attempt(() => chat.respond("c", { approved: true, args: { a: ["\\udc00"] } }));
        attempt(() => chat.respond("c", { approved: true, args: { a: "x".repeat(600_000) } }));
        return [errors, s.sent.length, chat.pending]"""
    )
    assert errors == [["RangeError"] * 4, 1, []]


async def test_a_response_that_does_not_fit_is_refused_and_not_sent_again(do: Do) -> None:
    refused = await do(
        """window.refused = [];
        const s = start({ sessionId: "s" }).open().resume();
        chat.on("refused", ({ stepId, code, content }) => refused.push([stepId, code, content]));
        chat.respond("c", { approved: true, args: { amount: "many" } });
        chat.respond("d", { approved: true });
        s.say("system.error", { content: "No.",
            metadata: { session_id: "s", step_id: "c", code: "invalid_event", retryable: false } });
        s.sent.length = 0;
        s.breakOff(1006);
        return refused"""
    )
    assert refused == [["c", "invalid_event", "No."]]


async def test_feedback_is_sent_until_it_is_echoed_and_the_last_word_replaces_the_one_before(
    blank: Page, do: Do
) -> None:
    sent = await do(
        """const s = start({ sessionId: "s" }).open().resume();
        chat.rate("m", 1);
        chat.rate("m", -1, " too long ");
        s.log(1, "user.feedback", { metadata: { message_id: "m", score: 1 } });
        s.breakOff();
        return s.sent.slice(1)"""
    )
    assert [(frame["metadata"]["score"], frame["content"]) for frame in sent] == [
        (1, None),
        (-1, "too long"),
    ]
    await blank.clock.run_for(1_000)
    again = await do("return WebSocket.last.open().resume().sent.slice(1)")
    assert [frame["metadata"] for frame in again] == [{"message_id": "m", "score": -1}]
    await do(
        """WebSocket.last
            .log(2, "user.feedback", {
                content: "too long", metadata: { message_id: "m", score: -1 } })
            .breakOff()"""
    )
    await blank.clock.run_for(1_000)
    assert len(await do("return WebSocket.last.open().resume().sent")) == 1


@pytest.mark.parametrize(
    ("code", "named"),
    [("busy", True), ("unknown_message", True), ("session_closed", True), ("unknown_event", False)],
)
async def test_feedback_that_is_refused_is_given_back_and_not_sent_again(
    do: Do, code: str, named: bool
) -> None:
    message_id = 'message_id: "m",' if named else ""
    refused = await do(
        f"""window.refused = [];
        const s = start({{ sessionId: "s" }}).open().resume();
        chat.on("refused", (what) => refused.push([what.ratedId, what.code, what.content]));
        chat.rate("m", 1);
        s.say("system.error", {{ content: "No.",
            metadata: {{ session_id: "s", {message_id} code: "{code}",
                retryable: {str(code == "busy").lower()} }} }});
        return refused"""
    )
    assert refused == [["m", code, "No."]]


async def test_what_the_server_breaks_off_at_is_given_up_in_the_end(blank: Page, do: Do) -> None:
    await do(
        """window.refused = [];
        start({ sessionId: "s" }).open().resume();
        chat.on("refused", ({ messageId, stepId }) => refused.push(messageId ?? stepId));
        chat.send("a", { messageId: "a" });
        chat.respond("c", { approved: true })"""
    )
    for _ in range(10):
        await do("WebSocket.last.breakOff(1009)")
        await blank.clock.run_for(16_000)
        await do("WebSocket.last.open().resume()")
    assert await do("return [refused, chat.pending, WebSocket.last.sent.length]") == [
        ["a", "c"],
        [],
        1,
    ]
