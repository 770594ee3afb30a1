"""JSON schemas, and checks against them: the part that needs jsonschema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from myagent import exact_json
from myagent.tool.base_tool import ToolDefinitionError

SENTENCE_LIMIT = 500
"""Characters of what a validator says, which repeats the value it refuses."""

FAULTS_TOLD = 3

FindFaults = Callable[[Mapping[str, Any]], list[str]]


def checked_schema(schema: Any) -> dict[str, Any]:
    """A copy of a JSON schema of type object. Raises `ToolDefinitionError`."""
    if not isinstance(schema, Mapping):
        raise ToolDefinitionError(f"'parameters' must be a dict, not {type(schema).__name__}")
    try:
        copy = exact_json.loads(exact_json.dumps(dict(schema)))
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
            f"'parameters' is not a JSON schema, at {error.json_path}: {short(error.message)}"
        ) from error
    return copy  # type: ignore[no-any-return]


def fault_finder(schema: Mapping[str, Any]) -> FindFaults:
    """What finds the first faults of arguments; the schema is compiled once."""
    # An empty registry: a $ref to some address must not reach out to the network.
    factory = validator_for(schema, default=Draft202012Validator)
    validator = factory(schema, registry=Registry())

    def find(args: Mapping[str, Any]) -> list[str]:
        try:
            errors = list(islice(validator.iter_errors(args), FAULTS_TOLD))
        except RecursionError:
            return ["they are nested too deeply"]
        except Unresolvable as error:
            return [f"the tool's schema refers to something that is not there: {error}"]
        return [sentence_of(error) for error in errors]

    return find


def sentence_of(fault: ValidationError) -> str:
    """What a validator found, and where."""
    place = f"at {fault.json_path.removeprefix('$.')}: " if fault.path else ""
    return place + short(fault.message)


def short(sentence: str) -> str:
    """The start and the end of a message: the value comes first, what is wrong with it last."""
    if len(sentence) <= SENTENCE_LIMIT:
        return sentence
    half = SENTENCE_LIMIT // 2
    return f"{sentence[:half]}…{sentence[-half:]}"
