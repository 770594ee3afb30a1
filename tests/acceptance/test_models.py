"""What a client and the operator see if a model does not work as it should."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_model_control import FakeModelControl
from tests.recording import Frame, Recorder, durable
from tests.runners import Runner

from .conftest import Serve


@pytest.fixture(scope="module")
def runner(serve_module: Serve) -> Iterator[Runner]:
    with serve_module("tools.py", "--debug") as runner:
        yield runner


LOOKING = """
import sys
from myagent import create_react_agent, tool

@tool
def imported() -> str:
    "Which are imported"
    return str([name in sys.modules for name in ("openai", "openai._client")])

agent = create_react_agent(tools=[imported])
"""


async def test_a_worker_does_not_import_what_is_not_used_of_the_openai_package(
    fresh_database_url: str, tmp_path: Path, model: FakeModelControl
) -> None:
    file = tmp_path / "looking.py"
    file.write_text(LOOKING)
    with Runner(file, fresh_database_url, tmp_path / "var", env=model.environment) as runner:
        async with await Recorder.open(runner.url) as client:
            session = await client.create_session()
            answer = await client.ask(session, "[[tool imported {}]] Which?")
    assert "[False, True]" in answer["content"]


def results(frames: list[Frame]) -> list[tuple[str, str]]:
    return [
        (frame["metadata"]["tool"], frame["metadata"]["status"])
        for frame in frames
        if frame["event"] == "agent.tool_result"
    ]


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_an_answer_that_was_cut_says_so(client: Recorder, session: str, reason: str) -> None:
    end = await client.ask(session, f"The capital? [[finish {reason}]]")
    assert end["event"] == "agent.final_answer"
    assert end["metadata"]["stop_reason"] == reason
    assert end["content"] == "Answer to: The capital?"


@pytest.mark.parametrize(
    ("script", "tool"),
    [
        ("[[badcall add]]", "add"),
        ('[[tool functions.add {"a": 1, "b": 2}]]', "functions.add"),
        (f"[[tool {'x' * 150} {{}}]]", "x" * 150),
    ],
)
async def test_a_malformed_call_spoils_nothing(
    client: Recorder, session: str, script: str, tool: str
) -> None:
    end = await client.ask(session, f"{script} sum")
    assert end["event"] == "agent.final_answer", end
    assert results(client.frames) == [(tool, "error")]
    again = await client.ask(session, "And now?")
    assert again["event"] == "agent.final_answer", again


async def test_the_providers_words_are_in_the_log_and_with_debug_in_the_error(
    client: Recorder, session: str, runner: Runner, nonce: str
) -> None:
    end = await client.ask(session, f"[[status 400 the schema of {nonce} is not permitted]]")
    assert end["event"] == "agent.error"
    assert end["content"] == "The model did not accept the request (status 400)."
    assert f"status 400: the schema of {nonce} is not permitted" in end["metadata"]["cause"]
    runner.wait_for_log(f"the schema of {nonce} is not permitted")


async def test_reasoning_that_came_with_a_call_goes_back_after_a_restart_and_is_shown_once(
    serve: Serve, model: FakeModelControl, nonce: str
) -> None:
    script = (
        f'[[reasoning hm {nonce} step=1]] [[tool add {{"a": 1, "b": 2}}]] [[hold {nonce} step=2]]'
    )
    with serve("tools.py") as runner:
        async with await Recorder.open(runner.url) as client:
            session = await client.create_session()
            await client.say(session, f"{script} sum")
            await model.held(nonce)
        runner.kill()
    await model.release(nonce)
    with serve("tools.py") as runner:
        async with await Recorder.open(runner.url) as client:
            await client.reconnect(session)
            await client.until("agent.final_answer")
    thoughts = [
        frame["content"] for frame in durable(client.frames) if frame["event"] == "agent.thinking"
    ]
    assert thoughts == [f"hm {nonce}", ""]
    asked = await model.requests_about(nonce)
    assert [each[-2].get("reasoning_content") for each in asked[1:]] == [f"hm {nonce}"] * 2
