"""`manage.py chat` in a real terminal, against real runners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.cutting_proxy import CuttingProxy
from tests.fake_model_control import FakeModelControl
from tests.ports import free_port
from tests.recording import Recorder, log_of
from tests.runners import ROOT, Runner

from .conftest import Serve
from .typist import PROMPT, Typist, run

DONE = "— "
ORDER = '[[tool order {"item": "tea", "amount": 2}]]'


@pytest.fixture(scope="module")
def runner(serve_module: Serve) -> Iterator[Runner]:
    with serve_module("tools.py") as runner:
        yield runner


@pytest.fixture
async def typist(runner: Runner) -> AsyncIterator[Typist]:
    typist = Typist(runner.url)
    with typist.terminal:
        yield typist


# In a terminal.


async def test_an_answer_streams_and_the_next_question_can_be_asked(
    typist: Typist, model: FakeModelControl, nonce: str
) -> None:
    await typist.until(PROMPT)
    await typist.enter(f"[[hold {nonce} after=6]] 你好 🎯 **bold** {nonce}")
    await model.held(nonce)
    partial = await typist.until("Answer to: ", "Ctrl-C stops")
    assert DONE not in partial, "the beginning is there before the end"
    await model.release(nonce)
    await typist.until(f"Answer to: 你好 🎯 bold {nonce}", DONE, PROMPT)
    await typist.enter("and more")
    await typist.until("Answer to: and more", DONE, PROMPT)
    assert await typist.leave() == 0
    assert "--session" in typist.terminal.text


async def test_a_tool_is_a_line_with_its_arguments_result_and_time(typist: Typist) -> None:
    await typist.until(PROMPT)
    await typist.enter('[[tool lookup {"word": "龍"}]] [[tool broken {}]] x')
    text = await typist.until("✓ lookup(word=龍) · success · ", " ms", "找到了", DONE)
    assert "✗ broken() · error" in text
    assert "the wheel came off" in text


async def test_a_tool_is_run_after_a_yes(runner: Runner, typist: Typist) -> None:
    session = await typist.session_id()
    await typist.until(PROMPT)
    await typist.enter(f"{ORDER} one")
    await typist.until("Run order with these arguments?", "item: tea", "Run it?")
    await typist.enter("y")
    await typist.until("Approved", "ordered 2 × tea", DONE, PROMPT)
    await typist.enter(f"{ORDER} two")
    await typist.until("Run it?")
    await typist.enter("n 太贵了")
    await typist.until("Declined", "⊘ order(item=tea, amount=2) · declined", DONE, PROMPT)
    await typist.enter(f"{ORDER} three")
    await typist.until("Run it?")
    await typist.enter("perhaps")
    await typist.until("Type y, n or e.")
    typist.terminal.press("\x15")
    await typist.enter("e")
    await typist.until("Arguments, as JSON:")
    typist.terminal.press("\x15")
    await typist.enter("[1]")
    await typist.until("This must be a JSON object.")
    typist.terminal.press("\x15")
    await typist.enter('{"item": "咖啡", "amount": 1}')
    await typist.until("ordered 1 × 咖啡", DONE, PROMPT)
    given = [
        f["content"] for f in await log_of(runner.url, session) if f["event"] == "user.response"
    ]
    assert given == [
        {"approved": True},
        {"approved": False, "feedback": "太贵了"},
        {"approved": True, "args": {"item": "咖啡", "amount": 1}},
    ]


@pytest.mark.long
async def test_arguments_that_do_not_fit_are_told_and_the_tool_is_asked_about_again(
    typist: Typist,
) -> None:
    await typist.until(PROMPT)
    await typist.enter(f"{ORDER} please")
    for given in '{"item": "tea", "amount": "many"}', '{"item": "milk", "amount": 3}':
        await typist.until("Run it?")
        await typist.enter("e")
        await typist.until("Arguments, as JSON:")
        typist.terminal.press("\x15")
        await typist.enter(given)
        if "many" in given:
            told = await typist.until("The tool can't take these arguments: at amount: 'many'")
    assert told.count("The tool can't take") == 1
    await typist.until("ordered 3 × milk", DONE)


async def test_a_question_that_is_stopped_ends_with_what_it_was_about(typist: Typist) -> None:
    await typist.until(PROMPT)
    await typist.enter(f"{ORDER} never")
    await typist.until("Run it?")
    typist.terminal.interrupt()
    await typist.until("order(item=tea, amount=2) · cancelled", "The answer was stopped.", PROMPT)


async def test_ctrl_c_stops_the_answer_and_the_conversation_goes_on(
    typist: Typist, model: FakeModelControl, nonce: str
) -> None:
    await typist.until(PROMPT)
    await typist.enter(f"[[hold {nonce} after=3]] held")
    await model.held(nonce)
    typist.terminal.interrupt()
    await typist.until("Stopping…", "The answer was stopped.", PROMPT)
    await typist.enter("go on")
    await typist.until("Answer to: go on", DONE, PROMPT)
    typist.terminal.interrupt()
    await typist.until("again")
    typist.terminal.interrupt()
    assert await asyncio.to_thread(typist.terminal.wait) == 0


@pytest.mark.long
async def test_a_key_is_taken_that_is_pressed_before_there_is_a_prompt_again(
    typist: Typist,
) -> None:
    await typist.until(PROMPT)
    typist.terminal.interrupt()
    await typist.until("Press Ctrl-C again, or Ctrl-D, to leave.")
    assert await typist.leave() == 0


@pytest.mark.long
async def test_ctrl_c_at_a_question_stops_the_run(typist: Typist) -> None:
    await typist.until(PROMPT)
    await typist.enter(f"{ORDER} please")
    await typist.until("Run it?")
    typist.terminal.interrupt()
    await typist.until("The answer was stopped.", PROMPT)


async def test_ctrl_c_twice_leaves_even_if_nothing_answers(
    runner: Runner, model: FakeModelControl, nonce: str
) -> None:
    async with CuttingProxy(runner.port) as proxy:
        typist = Typist(proxy.url)
        with typist.terminal:
            session = await typist.session_id()
            await typist.until(PROMPT)
            await typist.enter(f"[[hold {nonce}]] held")
            await model.held(nonce)
            proxy.is_refusing = True
            proxy.cut()
            await typist.until("Reconnecting…")
            typist.terminal.interrupt()
            await typist.until("Stopping…")
            typist.terminal.interrupt()
            assert await asyncio.to_thread(typist.terminal.wait) == 0
    await model.release(nonce)
    ends = [frame["event"] for frame in await log_of(runner.url, session)]
    assert "user.cancel" not in ends, "what could not be sent was not done"


async def test_an_answer_goes_on_after_the_runner_was_killed_and_came_back(
    serve: Serve, model: FakeModelControl, nonce: str
) -> None:
    first = serve("tools.py")
    typist = Typist(first.url)
    with typist.terminal:
        session = await typist.session_id()
        await typist.until(PROMPT)
        await typist.enter(f"[[hold {nonce} after=4]] 等一等 {nonce}")
        await model.held(nonce)
        await typist.until("Answer")
        await asyncio.to_thread(first.kill)
        await typist.until("Reconnecting…")
        await model.release(nonce)
        again = await asyncio.to_thread(serve, "tools.py", port=first.port)
        await typist.until("Reconnected.", f"Answer to: 等一等 {nonce}", DONE, PROMPT)
        await typist.enter("and on")
        await typist.until("Answer to: and on", DONE)
    accepted = [
        f["content"] for f in await log_of(again.url, session) if f["event"] == "user.message"
    ]
    assert len(accepted) == 2


async def test_a_conversation_is_continued_with_what_was_said(
    runner: Runner, typist: Typist
) -> None:
    session = await typist.session_id()
    await typist.until(PROMPT)
    await typist.enter('first 一 [[tool add {"a": 1, "b": 2}]]')
    await typist.until(DONE, PROMPT)
    await typist.leave()
    later = Typist(runner.url, "--session", session)
    with later.terminal:
        history = await later.until(
            "first 一", "add(a=1, b=2)", "Answer to: first 一", DONE, PROMPT
        )
        assert history.count("Answer to: first 一") == 1
        await later.enter("second")
        await later.until("Answer to: second", DONE)


async def test_a_question_that_waits_is_asked_whoever_comes_back(
    runner: Runner, typist: Typist
) -> None:
    session = await typist.session_id()
    await typist.until(PROMPT)
    await typist.enter(f"{ORDER} please")
    await typist.until("Run it?")
    later = Typist(runner.url, "--session", session)
    with later.terminal:
        await later.until("Run order with these arguments?", "Run it?")
        await later.enter("y")
        await later.until("ordered 2 × tea", DONE, PROMPT)
    await typist.until("ordered 2 × tea", DONE, PROMPT)


@pytest.mark.long
async def test_a_question_stands_while_other_messages_leave_the_queue(
    runner: Runner, typist: Typist
) -> None:
    session = await typist.session_id()
    await typist.until(PROMPT)
    await typist.enter(f"{ORDER} please")
    await typist.until("Run it?")
    async with await Recorder.open(runner.url) as other:
        await other.send("user.reconnect", session)
        await other.until("agent.replay_complete")
        await other.send("user.message", session, content="later", metadata={"message_id": "m"})
        await other.until("user.message")
        await other.send("user.cancel", session, metadata={"message_id": "m"})
        await other.until("agent.interrupted")
    await typist.until("■ ")
    await typist.enter("y")
    await typist.until("ordered 2 × tea", DONE, PROMPT)


async def test_control_characters_from_a_model_or_a_tool_do_nothing(typist: Typist) -> None:
    await typist.until(PROMPT)
    await typist.enter(r'[[tool lookup {"word": "\u001b]0;owned\u0007\u009b2J"}]] &#27;]0;owned')
    await typist.until(DONE, PROMPT)
    assert "\x1b]0;" not in typist.terminal.raw
    assert "\x9b" not in typist.terminal.raw


@pytest.mark.long
async def test_that_the_demo_model_answers_is_said_once_and_not_in_the_answer(
    serve: Serve,
) -> None:
    told = "The built-in demo model answers here."
    offline = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}
    runner = serve(ROOT / "examples" / "ws_weather_agent.py", env=offline)
    typist = Typist(runner.url)
    with typist.terminal:
        session = await typist.session_id()
        await typist.until(told, PROMPT)
        for city in ("Tokyo", "Paris"):
            await typist.enter(f"Weather in {city}?")
            await typist.until(f"{city} is ", DONE, PROMPT)
        assert await typist.leave() == 0
    assert typist.terminal.text.count("demo model") == 1
    again = Typist(runner.url, "--session", session.split()[0])
    with again.terminal:
        await again.until(told, PROMPT)
        assert await again.leave() == 0
    done = await run(runner.url, "--message", "Weather in Tokyo?")
    assert done.stdout == "Tokyo is sunny today: 25°C, 55% humidity.\n"
    assert done.stderr.startswith(told)


# For programs.


async def test_a_program_gets_the_answer_and_nothing_else(runner: Runner) -> None:
    done = await run(runner.url, "--message", "hi **there** 你好")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Answer to: hi **there** 你好\n", "")


async def test_a_message_can_come_by_the_standard_input(runner: Runner, tmp_path: Path) -> None:
    file = tmp_path / "question.txt"
    file.write_text("from a file 文", encoding="utf-8")
    with file.open() as stdin:
        done = await run(runner.url, "--message", "-", stdin=stdin)
    assert done.stdout == "Answer to: from a file 文\n"


@pytest.mark.long
async def test_a_program_that_nobody_watches_confirms_nothing(runner: Runner) -> None:
    done = await run(runner.url, "--message", f"{ORDER} please")
    assert done.returncode == 0
    assert "Nobody is there to confirm" in done.stderr
    assert "declined" in done.stdout


async def test_an_answer_that_failed_is_an_exit_status(runner: Runner, nonce: str) -> None:
    done = await run(runner.url, "--message", f"[[status 400]] {nonce}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip()


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["ws://127.0.0.1:{port}/", "--message", "x"], 3, "can't be reached"),
        (["nonsense", "--message", "x"], 2, "not the address of a service"),
        (["{url}", "--session", "nobody", "--message", "x"], 3, "no such conversation"),
        (["{url}services/nobody/", "--message", "x"], 3, "no such service"),
        (["{url}", "--message", " "], 1, "empty"),
        (["{url}"], 2, "not a terminal"),
    ],
)
async def test_what_can_t_work_is_one_sentence(
    runner: Runner, arguments: list[str], status: int, sentence: str
) -> None:
    given = [each.format(port=free_port(), url=runner.url) for each in arguments]
    done = await run(*given)
    assert done.returncode == status
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
