"""Agents of other frameworks, each with packages and an interpreter that are not the site's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import IS_CI
from tests.fake_model import fake_model_process
from tests.fake_model_control import FakeModelControl
from tests.recording import Recorder, durable, kinds, log_of
from tests.runners import ROOT, Runner

from .conftest import Serve

FRAMEWORKS = {
    "openai-agents": "openai_agents_sdk.py",
    "langgraph": "langgraph_agent.py",
}
TOOL = '[[tool get_weather {"city": "Tokyo"}]]'

NO_WAY_OUT = {
    name: value
    for variable, value in {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }.items()
    for name in (variable, variable.lower())
}
"""The frameworks' own calls, such as those that report traces, end at a port without a server."""


def interpreter(framework: str) -> Path:
    """The Python that `scripts/bootstrap --test` has installed the framework for."""
    environment = ROOT / ".venv" / "frameworks" / framework
    if not (environment / ".has-lock").exists():
        if IS_CI:
            pytest.fail(f"{framework} must be installed under CI.")
        pytest.skip(f"{framework} is not installed")
    return environment / "bin" / "python"


@pytest.fixture(scope="module")
def model() -> Iterator[FakeModelControl]:
    """One of this module's own, so that its counters tell about nobody else."""
    with fake_model_process("--lax") as base_url:
        yield FakeModelControl(base_url)


@pytest.fixture(scope="module", params=FRAMEWORKS)
def runner(request: pytest.FixtureRequest, serve_module: Serve) -> Iterator[Runner]:
    python = interpreter(request.param)
    file = ROOT / "examples" / FRAMEWORKS[request.param]
    with serve_module(file, "--python", str(python), env=NO_WAY_OUT) as runner:
        yield runner


async def test_it_answers_with_what_its_tool_told_it(client: Recorder, session: str) -> None:
    answer = await client.ask(session, f"{TOOL} Weather?")
    assert answer["event"] == "agent.final_answer", answer
    assert answer["content"] == "Answer to: Weather? (results: It is sunny in Tokyo.)"


async def test_its_text_arrives_while_its_model_still_speaks(
    client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    question = f"{TOOL} [[hold {nonce} after=1 step=2]] Weather {nonce}?"
    await client.say(session, question)
    piece = await client.until("agent.partial_answer")
    assert "Answer to: Weather ".startswith(piece["content"][:19])
    await model.held(nonce)
    await model.release(nonce)
    end = await client.until("agent.final_answer")
    assert end["content"].endswith("(results: It is sunny in Tokyo.)")


async def test_it_remembers_the_conversation_out_of_the_log(
    client: Recorder, session: str, runner: Runner
) -> None:
    first = await client.ask(session, f"{TOOL} Weather?")
    second = await client.ask(session, "[[echo_history]] And in Paris?")
    asked: dict[str, Any] = json.loads(second["content"])
    told = [
        content
        for role, content in zip(asked["roles"], asked["contents"], strict=True)
        if role != "system"
    ]
    assert told == [f"{TOOL} Weather?", first["content"], "[[echo_history]] And in Paris?"]
    assert kinds(await log_of(runner.url, session)) == kinds(durable(client.frames, session))


async def test_a_cancel_reaches_its_model(
    client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    before = await model.stats()
    await client.say(session, f"[[hold {nonce}]] Weather {nonce}?")
    await client.until("agent.partial_answer")
    await model.held(nonce)
    await client.send("user.cancel", session)
    await client.until("agent.interrupted")
    assert (await model.stats(disconnects=before["disconnects"] + 1))["active"] == 0
