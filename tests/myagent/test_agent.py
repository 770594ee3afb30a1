from __future__ import annotations

import asyncio
import copy
import dataclasses

import pytest

from myagent import Agent, BaseTool, create_react_agent, tool
from myagent.agent import Runnable
from myagent.messages import ChatMessage
from myagent.models.base import ModelError
from myagent.steps import Answer, Decision, ToolFinished
from myagent.testing import ScriptedModel, call
from myagent.tool import ToolDefinitionError
from tests.myagent.runs import Approver, one


class Hello(BaseTool):
    name = "say_hello"
    description = "Greets someone"
    parameters = {"type": "object", "properties": {"name": {"type": "string"}}}  # noqa: RUF012

    async def execute(self, name: str) -> str:
        return f"Hello, {name}!"


@tool(requires_confirmation=True)
def send(text: str) -> str:
    return f"sent {text}"


def test_arun_answers_with_no_server_at_all() -> None:
    model = ScriptedModel([call("say_hello", name="Bo"), "Said it."])
    agent = create_react_agent("hello", [Hello()], model=model)
    assert asyncio.run(agent.arun("Greet Bo")) == "Said it."
    assert model.requests[1].texts == ["Greet Bo", "", "Hello, Bo!"]


async def test_astream_yields_the_steps() -> None:
    agent = create_react_agent(name="hello", tools=[Hello], model=ScriptedModel(["Hi."]))
    assert [step async for step in agent.astream("hello")][-1].text == "Hi."


async def test_earlier_messages_go_along_as_messages_or_dicts() -> None:
    model = ScriptedModel(["Bo."])
    agent = create_react_agent(model=model)
    history = [ChatMessage("user", "I am Bo"), {"role": "assistant", "content": "Hi Bo"}]
    assert await agent.arun("Who am I?", history=history) == "Bo."
    assert model.requests[0].texts == ["I am Bo", "Hi Bo", "Who am I?"]


async def test_without_anybody_to_ask_a_tool_that_needs_it_is_declined_and_told_why() -> None:
    model = ScriptedModel([call("send", text="x"), "Could not."])
    agent = create_react_agent(tools=[send], model=model)
    finished = one(ToolFinished, [step async for step in agent.astream("send x")])
    assert finished.status == "declined"
    assert "nobody is there to give one" in finished.text


async def test_with_somebody_to_ask_it_runs() -> None:
    model = ScriptedModel([call("send", text="x"), "Sent it."])
    agent = create_react_agent(tools=[send], model=model)
    assert await agent.arun("go", confirm=Approver(Decision(True)).confirm) == "Sent it."
    assert model.requests[1].texts[-1] == "sent x"


async def test_asking_with_something_else_than_a_text_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="asked with a text, not with dict"):
        await create_react_agent(model=ScriptedModel(["x"])).arun({"query": "x"})


async def test_a_model_error_reaches_the_caller() -> None:
    model = ScriptedModel([ModelError("No such model.", is_retryable=False)])
    with pytest.raises(ModelError, match="No such model"):
        await create_react_agent(model=model).arun("x")


def test_all_the_names_of_the_options_are_taken() -> None:
    agent = create_react_agent(
        name="hello",
        tools=[Hello()],
        system_prompt="…",
        next_step_prompt="…",
        max_steps=3,
        enable_tracing=True,
        model="gpt-4o",
        description="greets",
        examples=["Greet Ada"],
    )
    assert (agent.name, agent.max_steps, agent.enable_tracing, agent.model) == (
        "hello", 3, True, "gpt-4o",
    )  # fmt: skip
    assert [entry.name for entry in agent.tools] == ["say_hello"]


def test_prompts_and_tools_may_be_none() -> None:
    agent = create_react_agent("x", None, system_prompt=None, next_step_prompt=None)
    assert (agent.tools, agent.system_prompt, agent.next_step_prompt) == ((), "", "")


def test_an_unknown_option_says_what_is_known() -> None:
    with pytest.raises(TypeError, match=r"knows no 'promt'; it knows name, tools, system_prompt"):
        create_react_agent("x", promt="y")


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"name": " "}, ValueError, "needs a name"),
        ({"name": 3}, TypeError, "name must be a text, not int"),
        ({"max_steps": 0}, ValueError, "max_steps must be a whole number above 0"),
        ({"max_steps": "3"}, ValueError, "max_steps must be a whole number above 0"),
        ({"system_prompt": ["x"]}, TypeError, "system_prompt must be a text, not list"),
        ({"tools": 3}, TypeError, "tools must be a list of tools, not int"),
        ({"tools": [Hello(), Hello()]}, ToolDefinitionError, "Two tools have the name"),
        ({"examples": "Hello?"}, TypeError, "examples must be a list of questions, not str"),
        ({"examples": [1]}, TypeError, "examples must hold texts, not 1"),
        ({"examples": ["a", " "]}, ValueError, "examples holds an empty question"),
        ({"examples": ["a"] * 13}, ValueError, "examples has 13 questions; 12 are allowed"),
        ({"examples": ["a" * 501]}, ValueError, "has 501 characters; 500 are allowed"),
        ({"model": object()}, TypeError, "model must be a model's name, or an object with stream"),
        ({"model": ScriptedModel}, TypeError, "model must be a model's name"),
    ],
)
def test_a_definition_that_can_not_work_says_what_to_change(options, error, sentence) -> None:
    with pytest.raises(error, match=sentence):
        create_react_agent(**options)


def test_an_agent_is_what_a_service_needs() -> None:
    agent = create_react_agent("x")
    assert isinstance(agent, Runnable)
    assert (agent.is_continuable, agent.is_idempotent) == (True, False)


def test_a_definition_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        create_react_agent("x").name = "y"


async def test_copies_and_replacements_share_the_tools_and_run() -> None:
    hello = Hello()
    agent = create_react_agent("x", [hello], model=ScriptedModel(["1", "2"]))
    for other in (copy.copy(agent), dataclasses.replace(agent, name="y")):
        assert other.tools == (hello,)
        assert await other.arun("x") in "12"


async def test_the_model_is_looked_for_when_it_is_first_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import myagent.models

    asked = []

    def resolve_model(model, *, timeout_s):
        asked.append((model, timeout_s))
        return ScriptedModel(["1", "2"])

    monkeypatch.setattr(myagent.models, "resolve_model", resolve_model)
    agent = create_react_agent("x", model="some-model", model_timeout_s=5)
    assert asked == []
    assert [await agent.arun("a"), await agent.arun("b")] == ["1", "2"]
    assert asked == [("some-model", 5)]


async def test_an_agent_answers_with_the_demo_model_when_nothing_is_set() -> None:
    steps = [step async for step in create_react_agent("x").astream("Hello")]
    assert one(Answer, steps).text


@pytest.mark.parametrize("timeout_s", [0, -1, True, "5", float("nan")])
def test_a_time_out_that_is_none_is_refused(timeout_s) -> None:
    with pytest.raises(ValueError, match="model_timeout_s must be a number of seconds above 0"):
        create_react_agent("x", model_timeout_s=timeout_s)


def test_an_agent_can_be_made_without_the_factory() -> None:
    assert Agent(name="x", tools=[Hello]).toolbox.names == ("say_hello",)
