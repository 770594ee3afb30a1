"""The tools of one agent: checked when the agent is made, found by name in a run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from myagent import exact_json
from myagent.messages import TOOL_NAME
from myagent.models.base import ToolSpec
from myagent.steps import MOST_DESCRIPTION, MOST_SCHEMA_BYTES, MOST_SCHEMA_DEPTH
from myagent.tool.base_tool import BaseTool, ToolDefinitionError
from myagent.tool.function import FunctionTool
from myagent.tool.schema import Arguments
from myagent.tool.text import clean

ToolLike = BaseTool | type[BaseTool] | Callable[..., Any]


@dataclass(frozen=True)
class PreparedTool:
    """A tool that was found to be usable, with what it needs to be called."""

    tool: BaseTool
    spec: ToolSpec
    arguments: Arguments

    @cached_property
    def told_parameters(self) -> dict[str, Any] | None:
        """The schema for a `ConfirmationAsked`; None if it is too large."""
        schema = self.spec.parameters
        is_short = len(exact_json.encode(schema)) <= MOST_SCHEMA_BYTES
        return schema if is_short and _depth(schema) <= MOST_SCHEMA_DEPTH else None

    @property
    def told_description(self) -> str:
        """The description for a `ConfirmationAsked`."""
        return clean(self.spec.description)[:MOST_DESCRIPTION]


class Toolbox:
    """An agent's tools by name. Raises `ToolDefinitionError` for tools that can't work."""

    def __init__(self, tools: Iterable[ToolLike]) -> None:
        self._tools: dict[str, PreparedTool] = {}
        for tool in map(as_tool, tools):
            self._add(prepared(tool))
        self.specs = tuple(entry.spec for entry in self._tools.values())

    def _add(self, entry: PreparedTool) -> None:
        name = entry.spec.name
        if name in self._tools:
            raise ToolDefinitionError(
                f"Two tools have the name {name!r}; give one of them another name."
            )
        self._tools[name] = entry

    def __iter__(self) -> Iterator[BaseTool]:
        return (entry.tool for entry in self._tools.values())

    def find(self, name: str) -> PreparedTool | None:
        return self._tools.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)


def as_tool(tool: Any) -> BaseTool:
    """A tool from an instance, a class or a function. Raises `ToolDefinitionError`."""
    if isinstance(tool, BaseTool):
        return tool
    if isinstance(tool, type) and issubclass(tool, BaseTool):
        try:
            return tool()
        except Exception as error:
            raise ToolDefinitionError(
                f"{tool.__name__} can't be made without arguments ({error}); "
                "put an instance into 'tools'."
            ) from error
    if inspect.isroutine(tool):
        return FunctionTool(tool)
    raise ToolDefinitionError(
        f"{tool!r} in 'tools' is not a tool: use an instance of a BaseTool subclass, or a function."
    )


def prepared(tool: BaseTool) -> PreparedTool:
    """A tool with its compiled schema. Raises `ToolDefinitionError`."""
    kind = tool.name if isinstance(tool, FunctionTool) else type(tool).__name__
    _check_bound(tool)
    _check_name(tool, kind)
    _check_limits(tool, kind)
    if getattr(type(tool), "execute", None) is BaseTool.execute and "execute" not in vars(tool):
        raise ToolDefinitionError(f"{kind} has no execute(): write one, plain or async.")
    try:
        arguments = Arguments(tool.execute, tool.parameters)
    except ToolDefinitionError as error:
        raise ToolDefinitionError(f"The tool {tool.name!r}: {error}.") from error
    description = tool.description or inspect.cleandoc(type(tool).__doc__ or "")
    return PreparedTool(tool, ToolSpec(tool.name, description, arguments.schema), arguments)


def _check_bound(tool: BaseTool) -> None:
    if isinstance(tool, FunctionTool) and (owner := tool.unbound_from):
        raise ToolDefinitionError(
            f"{tool.name!r} is a method of {owner}: put that of an instance into 'tools', "
            f"as in tools=[{owner}().{tool.name}]."
        )


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _check_name(tool: BaseTool, kind: str) -> None:
    name = tool.name
    if not isinstance(name, str) or not name:
        raise ToolDefinitionError(f"{kind} has no name: set name = '…' in the class.")
    if not TOOL_NAME.fullmatch(name):
        raise ToolDefinitionError(
            f"The name {name!r} can't be a tool's: "
            "use letters, digits, '_' and '-', 64 at most (name=… sets another one)."
        )
    if not isinstance(tool.description, str):
        raise ToolDefinitionError(f"The tool {name!r}: 'description' must be a text.")


def _check_limits(tool: BaseTool, kind: str) -> None:
    for attribute in ("timeout_s", "confirm_timeout_s"):
        value = getattr(tool, attribute)
        is_unlimited = value is None and attribute == "timeout_s"
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_unlimited and not (is_number and value > 0):
            raise ToolDefinitionError(
                f"{kind}: {attribute!r} is {value!r}; it must be a number of seconds above 0."
            )
