"""Type hints as a JSON schema, and JSON as what the hints say: the part that needs pydantic.

pydantic takes 80 ms to import; a tool with a schema of its own needs none of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from myagent import installed
from myagent.tool.base_tool import ToolDefinitionError


class Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def emit_warning(self, kind: Any, detail: str) -> None:
        """A default that is no JSON is left out of the schema, which harms nobody."""


class UnfitError(Exception):
    """A value is not what the hint asks for. `place` leads from it to the fault."""

    def __init__(self, fault: str, place: tuple[int | str, ...]) -> None:
        super().__init__(fault)
        self.place = place


def schema_from(function: Callable[..., Any]) -> dict[str, Any]:
    """The JSON schema of a function's arguments, from its signature and type hints.

    Raises `ToolDefinitionError`.
    """
    kinds = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
    if kinds & {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL}:
        raise ToolDefinitionError(
            "takes positional arguments, but tools are called by name: "
            "use named parameters, or give a schema in 'parameters'"
        )
    try:
        with installed.packages():
            adapter: TypeAdapter[Any] = TypeAdapter(cast(Any, function))
            return adapter.json_schema(schema_generator=Untitled)
    except Exception as error:
        raise ToolDefinitionError(_unreadable_hints(error)) from error


Converter = Callable[[Any], Any]
"""From JSON to what a hint says; raises `UnfitError`."""


def converters_from(function: Callable[..., Any]) -> dict[str, Converter]:
    """What converts each hinted argument. Raises `ToolDefinitionError`."""
    named = {
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    try:
        hints = get_type_hints(function, include_extras=True)
        with installed.packages():
            adapters: dict[str, TypeAdapter[Any]] = {
                name: TypeAdapter(hint) for name, hint in hints.items() if name in named
            }
    except Exception as error:
        raise ToolDefinitionError(_unreadable_hints(error)) from error
    return {name: _converter(adapter) for name, adapter in adapters.items()}


def _converter(adapter: TypeAdapter[Any]) -> Converter:
    def convert(value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            raise UnfitError(fault["msg"], fault["loc"]) from error

    return convert


def _unreadable_hints(error: Exception) -> str:
    reason = str(error).partition("\n")[0]
    return (
        "has type hints that no JSON schema can be made from "
        f"({reason}): change them, or give a schema in 'parameters'"
    )
