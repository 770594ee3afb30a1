"""Write an agent in a file of its own; everything an agent file needs is here.

Nothing is imported before it is asked for, so `import myagent` costs nothing.
`myagent.tool` is both the package of the tools and the decorator of the same name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from myagent.agent import Agent, create_react_agent
    from myagent.tool import tool
    from myagent.tool.base_tool import BaseTool, ToolResult

__all__ = ["Agent", "BaseTool", "ToolResult", "create_react_agent", "tool"]

_HOMES = {
    "Agent": "myagent.agent",
    "BaseTool": "myagent.tool.base_tool",
    "ToolResult": "myagent.tool.base_tool",
    "create_react_agent": "myagent.agent",
}


def __getattr__(name: str) -> Any:
    if name == "tool":
        return import_module("myagent.tool")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
