"""A function as a tool."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
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
        self._owner = ""
        """The class that defines the method, while it is bound to no instance."""
        self.execute = function
        self.name = name if name is not None else getattr(function, "__name__", "")
        self.description = inspect.getdoc(function) or "" if description is None else description
        self.idempotent = idempotent
        self.requires_confirmation = requires_confirmation
        self.timeout_s = timeout_s

    def __set_name__(self, owner: type, name: str) -> None:
        qualified = getattr(self.execute, "__qualname__", "")
        if qualified.rpartition(".")[0] == owner.__qualname__ or self._first in ("self", "cls"):
            self._owner = owner.__name__

    def __get__(self, instance: Any, owner: type | None = None) -> FunctionTool:
        """Binds a method to its instance, as in `tools=[shop.order]`."""
        is_static = isinstance(self.execute, staticmethod | classmethod)
        if not (is_static or (self._owner and instance is not None) or isinstance(instance, type)):
            return self
        bound = copy(self)
        bound.execute = self.execute.__get__(instance, owner)
        bound._owner = ""
        return bound

    @property
    def unbound_from(self) -> str:
        """The class whose method this is, if it is bound to no instance; else ''."""
        return self._owner if self._first == "self" else ""

    @property
    def _first(self) -> str:
        """The name of the first parameter; '' if there is none, or it is not known."""
        function = getattr(self.execute, "__func__", self.execute)
        try:
            return next(iter(inspect.signature(function).parameters), "")
        except (TypeError, ValueError):
            return ""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.execute(*args, **kwargs)


OPTIONS = tuple(FunctionTool.__init__.__kwdefaults__ or ())
"""The names of the options of `@tool`."""


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
    for option in options:
        if option not in OPTIONS:
            raise TypeError(f"@tool has no option {option!r}; it has: {', '.join(OPTIONS)}")
    if function is None:
        return lambda function: FunctionTool(function, **options)
    if not (callable(function) or isinstance(function, classmethod)):
        raise TypeError(f"@tool makes a tool of a function, not of {function!r}; use @tool(name=…)")
    return FunctionTool(function, **options)
