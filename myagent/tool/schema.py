"""The arguments of a tool: their JSON schema, and the check of what a model wrote."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from myagent import exact_json, fast_json
from myagent.tool.base_tool import ToolDefinitionError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SENTENCE_LIMIT = 500
"""Characters of what a validator says, which repeats the value it refuses."""

FAULTS_TOLD = 3


class ArgumentsError(Exception):
    """The arguments of a call can't be used; a sentence for the model."""


def schema_from(function: Callable[..., Any]) -> dict[str, Any]:
    """The JSON schema of a function's arguments, from its signature and type hints.

    Raises `ToolDefinitionError`.
    """
    # pydantic takes 80 ms to import; a tool with a schema of its own needs none of it.
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

    class Untitled(GenerateJsonSchema):
        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

        def emit_warning(self, kind: Any, detail: str) -> None:
            """A default that is no JSON is left out of the schema, which harms nobody."""

    kinds = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
    if kinds & {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL}:
        raise ToolDefinitionError(
            "takes positional arguments, but tools are called by name: "
            "use named parameters, or give a schema in 'parameters'"
        )
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(cast(Any, function))
        return adapter.json_schema(schema_generator=Untitled)
    except Exception as error:
        raise ToolDefinitionError(_unreadable_hints(error)) from error


def converters_from(function: Callable[..., Any]) -> dict[str, TypeAdapter[Any]]:
    """What turns each hinted argument from JSON into the hinted type."""
    from pydantic import TypeAdapter

    named = {
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    try:
        hints = get_type_hints(function, include_extras=True)
        return {name: TypeAdapter(hint) for name, hint in hints.items() if name in named}
    except Exception as error:
        raise ToolDefinitionError(_unreadable_hints(error)) from error


def _unreadable_hints(error: Exception) -> str:
    reason = str(error).partition("\n")[0]
    return (
        "has type hints that no JSON schema can be made from "
        f"({reason}): change them, or give a schema in 'parameters'"
    )


def checked_schema(schema: Any) -> dict[str, Any]:
    """A copy of a JSON schema of type object. Raises `ToolDefinitionError`."""
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for

    if not isinstance(schema, Mapping):
        raise ToolDefinitionError(f"'parameters' must be a dict, not {type(schema).__name__}")
    try:
        copy = fast_json.loads(fast_json.dumps(dict(schema)))
    except TypeError as error:
        raise ToolDefinitionError(f"'parameters' must be plain JSON: {error}") from error
    if copy.setdefault("type", "object") != "object":
        raise ToolDefinitionError(
            "'parameters' must have the type 'object', with the arguments under 'properties'"
        )
    copy.setdefault("properties", {})
    try:
        validator_for(copy, default=Draft202012Validator).check_schema(copy)
    except SchemaError as error:
        raise ToolDefinitionError(
            f"'parameters' is not a JSON schema, at {error.json_path}: {_short(error.message)}"
        ) from error
    return copy  # type: ignore[no-any-return]


class Arguments:
    """The check of one tool's arguments; its validator is compiled once."""

    def __init__(self, execute: Callable[..., Any], parameters: Any) -> None:
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry

        is_from_signature = parameters is None
        self.schema = checked_schema(schema_from(execute) if is_from_signature else parameters)
        self._converters = converters_from(execute) if is_from_signature else {}
        self._signature = inspect.signature(execute)
        # An empty registry: a $ref to some address must not reach out to the network.
        factory = validator_for(self.schema, default=Draft202012Validator)
        self._validator = factory(self.schema, registry=Registry())

    def parse(self, text: str) -> dict[str, Any]:
        """The arguments in a model's words. Raises `ArgumentsError`."""
        if not text.strip():
            return {}
        try:
            args = exact_json.loads(text)
        except ValueError as error:
            raise ArgumentsError(
                f"The arguments are not valid JSON ({error}). Send one JSON object."
            ) from error
        if args is None:
            return {}
        if not isinstance(args, dict):
            raise ArgumentsError("The arguments must be one JSON object.")
        return args

    def check(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """What to call `execute` with. Raises `ArgumentsError`."""
        faults = self._faults(args)
        if faults:
            raise _mismatch("; ".join(faults))
        try:
            self._signature.bind(**args)
        except TypeError as error:
            raise _mismatch(str(error)) from error
        return {name: self._converted(name, value) for name, value in args.items()}

    def _faults(self, args: Mapping[str, Any]) -> list[str]:
        from referencing.exceptions import Unresolvable

        try:
            errors = list(islice(self._validator.iter_errors(args), FAULTS_TOLD))
        except RecursionError:
            return ["they are nested too deeply"]
        except Unresolvable as error:
            return [f"the tool's schema refers to something that is not there: {error}"]
        return [
            f"at {error.json_path.removeprefix('$.')}: {_short(error.message)}"
            if error.path
            else _short(error.message)
            for error in errors
        ]

    def _converted(self, name: str, value: Any) -> Any:
        converter = self._converters.get(name)
        if converter is None:
            return value
        from pydantic import ValidationError

        try:
            return converter.validate_python(value)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in (name, *fault["loc"]))
            raise _mismatch(f"at {place}: {_short(fault['msg'])}") from error


def _mismatch(reason: str) -> ArgumentsError:
    return ArgumentsError(
        f"The arguments do not fit the tool's schema: {reason}. "
        "Correct them and call the tool again."
    )


def _short(sentence: str) -> str:
    return sentence if len(sentence) <= SENTENCE_LIMIT else sentence[:SENTENCE_LIMIT] + "…"
