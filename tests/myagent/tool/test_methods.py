"""`@tool` on a method works on the instance, or is refused when the agent is created."""

from __future__ import annotations

from typing import Any

import pytest

from myagent import create_react_agent, tool
from myagent.tool import ToolDefinitionError
from myagent.tool.containment import run_tool
from myagent.tool.toolbox import Toolbox


@tool
def outside(item: str) -> str:
    return f"outside {item}"


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name

    @tool
    def order(self, item: str, amount: int = 1) -> str:
        """Order something."""
        return f"{self.name}: {amount} {item}"

    @tool(name="wait_for", requires_confirmation=True, timeout_s=5)
    async def wait(self, item: str) -> str:
        return f"{self.name} waits for {item}"

    @staticmethod
    @tool
    def inner_static(item: str) -> str:
        return f"any shop: {item}"

    @tool
    @staticmethod
    def outer_static(item: str) -> str:
        return f"any shop: {item}"

    @classmethod
    @tool
    def inner_class(cls, item: str) -> str:
        return f"{cls.__name__}: {item}"

    @tool
    @classmethod
    def outer_class(cls, item: str) -> str:
        return f"{cls.__name__}: {item}"

    borrowed = outside


TEA, MILK = Shop("tea shop"), Shop("milk shop")


@pytest.mark.parametrize(
    ("given", "result"),
    [
        (TEA.order, "tea shop: 1 x"),
        (MILK.order, "milk shop: 1 x"),
        (TEA.wait, "tea shop waits for x"),
        (TEA.inner_static, "any shop: x"),
        (Shop.inner_static, "any shop: x"),
        (TEA.outer_static, "any shop: x"),
        (Shop.outer_static, "any shop: x"),
        (TEA.inner_class, "Shop: x"),
        (Shop.inner_class, "Shop: x"),
        (Shop.outer_class, "Shop: x"),
        (TEA.borrowed, "outside x"),
        (Shop.borrowed, "outside x"),
    ],
)
async def test_a_method_is_a_tool_of_its_instance(given: Any, result: str) -> None:
    (name,) = Toolbox([given]).names
    prepared = Toolbox([given]).find(name)
    assert prepared is not None
    assert prepared.spec.parameters["required"] == ["item"]
    values = prepared.arguments.check({"item": "x"})
    assert (await run_tool(prepared.tool, values)).output == result


def test_a_method_keeps_what_the_decorator_was_told() -> None:
    (bound,) = Toolbox([TEA.wait])
    assert (bound.name, bound.requires_confirmation, bound.timeout_s) == ("wait_for", True, 5)
    assert TEA.order.description == "Order something."
    assert TEA.order("milk", amount=2) == "tea shop: 2 milk"


def test_a_method_of_no_instance_is_refused_with_what_to_write() -> None:
    with pytest.raises(ToolDefinitionError, match=r"method of Shop: .* tools=\[Shop\(\)\.order\]"):
        create_react_agent(tools=[Shop.order])
