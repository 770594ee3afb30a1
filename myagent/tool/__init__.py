"""Tools: what an agent can do besides talking.

This module can be called: `from myagent import tool` finds it under the name
of the decorator, and `@tool` has to work all the same.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from myagent.tool.base_tool import BaseTool, ToolDefinitionError, ToolResult
from myagent.tool.function import FunctionTool, tool

__all__ = ["BaseTool", "FunctionTool", "ToolDefinitionError", "ToolResult", "tool"]


class _ToolModule(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        return tool(*args, **options)


sys.modules[__name__].__class__ = _ToolModule
