from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from myagent import BaseTool, create_react_agent, tool
from myagent.foreign import ForeignAgent
from myagent.models import OpenAIModel
from myagent.testing import ScriptedModel
from myagent.worker.codec import decode_from_worker, encode
from myagent.worker.describing import describe
from myagent.worker.protocol import AgentInfo, Ready, ToolInfo


@tool(idempotent=True, timeout_s=None)
def look() -> str:
    """Look at it."""
    return ""


class Order(BaseTool):
    """Order it."""

    name = "order"
    requires_confirmation = True
    timeout_s = 5


def order() -> None:
    """Order one."""


Order.execute = lambda self: None  # type: ignore[method-assign]


def foreign(**attributes: Any) -> ForeignAgent:
    async def arun(text: str) -> str:
        return text

    return ForeignAgent(SimpleNamespace(arun=arun, **attributes), default_name="mine")


def test_an_agent_of_ours_is_described_whole() -> None:
    agent = create_react_agent(
        "shop", [look, Order], description="Sells", model=OpenAIModel("gpt-x"), max_steps=3
    )
    assert describe(agent) == AgentInfo(
        name="shop",
        description="Sells",
        tools=(
            ToolInfo("look", "Look at it.", True, False, None),
            ToolInfo("order", "Order it.", False, True, 5),
        ),
        model="gpt-x",
        max_steps=3,
    )


@pytest.mark.parametrize(
    ("model", "name"), [(None, "offline-demo"), (ScriptedModel([]), ""), ("gpt-x", "gpt-x")]
)
def test_the_model_is_named_as_far_as_it_has_a_name(
    model: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(model, str):
        monkeypatch.setenv("OPENAI_API_KEY", "x")
    assert describe(create_react_agent(model=model)).model == name


def test_of_a_foreign_agent_the_usual_attributes_are_read() -> None:
    named = SimpleNamespace(name="search", description="Search the web")
    agent = foreign(
        name="helper",
        description=" Helps ",
        tools=[named, order, 3, SimpleNamespace(name=4)],
        model=SimpleNamespace(model_name="claude"),
        max_steps=7,
    )
    assert describe(agent) == AgentInfo(
        name="helper",
        description="Helps",
        tools=(
            ToolInfo("search", "Search the web", False, False, None),
            ToolInfo("order", "Order one.", False, False, None),
        ),
        model="claude",
        max_steps=7,
        is_continuable=False,
    )


def test_a_foreign_agent_that_tells_nothing_has_a_name() -> None:
    assert describe(foreign()) == AgentInfo("mine", is_continuable=False)


def test_an_async_function_is_described_by_its_docstring() -> None:
    async def agent(text: str) -> str:
        """Says it again."""
        return text

    info = describe(ForeignAgent(agent, default_name="echo"))
    assert (info.name, info.description) == ("echo", "Says it again.")


def test_a_foreign_agent_can_be_continued_if_it_may_start_again() -> None:
    assert describe(foreign(idempotent=True)).is_continuable
    assert not describe(foreign()).is_continuable


class Raising:
    async def arun(self, text: str) -> str:
        return text

    def _raise(self) -> Any:
        raise ZeroDivisionError

    description = tools = model = property(_raise)


ODD: dict[str, Callable[[], Any]] = {
    "raises": Raising,
    "has every attribute": lambda: MagicMock(name="x"),
    "keeps its tools by name": lambda: foreign(tools={"a": order}).agent,
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD.keys())
def test_whatever_an_agent_is_its_description_can_be_sent(make: Callable[[], Any]) -> None:
    info = describe(ForeignAgent(make(), default_name="odd"))
    ready = decode_from_worker(encode(Ready(1, "instance", 1, info)))
    assert isinstance(ready, Ready)
    assert (ready.agent.name, ready.agent.model, ready.agent.max_steps) == ("odd", "", None)


def test_whether_it_may_be_traced_is_told() -> None:
    assert describe(create_react_agent(name="open")).enable_tracing
    assert not describe(create_react_agent(name="private", enable_tracing=False)).enable_tracing
