from __future__ import annotations

import pytest

import myagent
from tests.importing import loaded_by


def test_importing_the_package_imports_nothing_else() -> None:
    assert not {"asyncio", "orjson", "pydantic"} & loaded_by("import myagent")


def test_what_an_agent_file_imports_costs_no_heavy_library() -> None:
    loaded = loaded_by("from myagent import create_react_agent, BaseTool, ToolResult, tool")
    assert not {"openai", "pydantic", "jsonschema", "django"} & loaded


@pytest.mark.parametrize("name", myagent.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(myagent, name) is not None
    assert name in dir(myagent)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'agnet'"):
        _ = myagent.agnet


def test_tool_is_the_decorator_and_the_package() -> None:
    from myagent import tool
    from myagent.tool import BaseTool
    from myagent.tool import tool as decorator

    def greet(name: str) -> str:
        return name

    assert tool(greet).name == decorator(greet).name == "greet"
    assert tool(name="other")(greet).name == "other"
    assert tool.BaseTool is BaseTool
