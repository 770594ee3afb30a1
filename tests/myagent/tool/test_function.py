from __future__ import annotations

import pytest

from myagent.tool import BaseTool, tool
from myagent.tool.containment import run_tool


@tool
async def add(a: int, b: int = 1) -> int:
    """Adds two numbers."""
    return a + b


@tool(name="wipe", description="Erases", idempotent=True, requires_confirmation=True, timeout_s=5)
def erase(path: str) -> str:
    return f"erased {path}"


def test_a_bare_decorator_takes_name_and_description_from_the_function() -> None:
    assert isinstance(add, BaseTool)
    assert (add.name, add.description) == ("add", "Adds two numbers.")
    assert (add.idempotent, add.requires_confirmation, add.timeout_s) == (False, False, 60)


def test_a_decorator_with_arguments_sets_them() -> None:
    assert (erase.name, erase.description) == ("wipe", "Erases")
    assert (erase.idempotent, erase.requires_confirmation, erase.timeout_s) == (True, True, 5)


async def test_both_kinds_of_functions_run_as_tools() -> None:
    assert (await run_tool(add, {"a": 2})).output == "3"
    assert (await run_tool(erase, {"path": "x"})).output == "erased x"


async def test_a_decorated_function_can_still_be_called() -> None:
    assert await add(1, b=2) == 3
    assert erase("x") == "erased x"


def test_an_option_that_tools_do_not_have_is_named_with_those_that_they_have() -> None:
    with pytest.raises(
        TypeError, match=r"^@tool has no option 'timeout'; it has: name, .*timeout_s"
    ):
        tool(timeout=5)  # type: ignore[call-overload]


def test_decorating_something_else_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"use @tool\(name=…\)"):
        tool("add")
