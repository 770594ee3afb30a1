"""Type hints as a JSON schema, and JSON as what the hints say: the part that needs pydantic.

pydantic takes 80 ms to import; a tool with a schema of its own needs none of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ArgsKwargs

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


class Hints:
    """Validates arguments by a function's signature and type hints, as `validate_call` does.

    So a default may be pydantic's `Field`, in `Annotated` as well, with a factory or an alias.
    Raises `ToolDefinitionError`.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        signature = inspect.signature(function)
        if {each.kind for each in signature.parameters.values()} & _POSITIONAL:
            raise ToolDefinitionError(
                "takes positional arguments, but tools are called by name: "
                "use named parameters, or give a schema in 'parameters'"
            )
        try:
            hints = get_type_hints(function, include_extras=True)
            with installed.packages():
                self._adapter: TypeAdapter[Any] = TypeAdapter(_stand_in(signature, hints))
        except Exception as error:
            raise ToolDefinitionError(_unreadable_hints(error)) from error

    def schema(self) -> dict[str, Any]:
        """The JSON schema. Raises `ToolDefinitionError`."""
        try:
            with installed.packages():
                return self._adapter.json_schema(schema_generator=Untitled)
        except Exception as error:
            raise ToolDefinitionError(_unreadable_hints(error)) from error

    def values(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments to call the function with: converted by its hints, and with defaults.

        Raises `UnfitError`.
        """
        try:
            found: dict[str, Any] = self._adapter.validate_python(ArgsKwargs((), dict(args)))
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            raise UnfitError(fault["msg"], fault["loc"]) from error
        return found


_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL}


def _stand_in(signature: inspect.Signature, hints: dict[str, Any]) -> Any:
    """A function with the same parameters that returns its arguments.

    Its hints are resolved, so that they need not be found again where it is defined.
    """

    def collect(**values: Any) -> dict[str, Any]:
        return values

    parameters = [
        each.replace(annotation=hints.get(name, each.empty))
        for name, each in signature.parameters.items()
    ]
    collect.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=parameters, return_annotation=signature.empty
    )
    collect.__annotations__ = {name: hint for name, hint in hints.items() if name != "return"}
    return collect


def _unreadable_hints(error: Exception) -> str:
    reason = str(error).partition("\n")[0]
    return (
        "has type hints that no JSON schema can be made from "
        f"({reason}): change them, or give a schema in 'parameters'"
    )
