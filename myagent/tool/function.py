"""A function as a tool."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, overload

from myagent.tool.base_tool import BaseTool

Function = Callable[..., Any]


class FunctionTool(BaseTool):
    """A tool that is a function; it can still be called as one.

    Its name and description are the function's name and docstring unless they are given.
    """

    execute: Function

    def __init__(
        self,
        function: Function,
        *,
        name: str | None = None,
        description: str | None = None,
        idempotent: bool = False,
        requires_confirmation: bool = False,
        timeout_s: float | None = BaseTool.timeout_s,
    ) -> None:
        update_wrapper(self, function)
        self.execute = function
        self.name = name if name is not None else getattr(function, "__name__", "")
        self.description = inspect.getdoc(function) or "" if description is None else description
        self.idempotent = idempotent
        self.requires_confirmation = requires_confirmation
        self.timeout_s = timeout_s

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.execute(*args, **kwargs)


@overload
def tool(function: Function, /) -> FunctionTool: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    idempotent: bool = False,
    requires_confirmation: bool = False,
    timeout_s: float | None = 60.0,
) -> Callable[[Function], FunctionTool]: ...


def tool(function: Function | None = None, /, **options: Any) -> Any:
    """Makes a tool of a function: `@tool`, or `@tool(name=…, timeout_s=…)`.

    The function may be plain or async; see `BaseTool` for the options.
    """
    if function is None:
        return lambda function: FunctionTool(function, **options)
    if not callable(function):
        raise TypeError(f"@tool makes a tool of a function, not of {function!r}; use @tool(name=…)")
    return FunctionTool(function, **options)
