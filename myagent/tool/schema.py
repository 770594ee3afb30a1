"""The arguments of a tool: their JSON schema, and the check of what a model wrote."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from myagent import exact_json


class ArgumentsError(Exception):
    """The arguments of a call can't be used; a sentence for the model."""


class Arguments:
    """The check of one tool's arguments; its schema is compiled once.

    `parameters` is a JSON schema; None: it is made from the signature of
    `execute`. Raises `ToolDefinitionError`.
    """

    def __init__(self, execute: Callable[..., Any], parameters: Any) -> None:
        from myagent.tool import validation

        self._converters: Mapping[str, Callable[[Any], Any]] = {}
        if parameters is None:
            from myagent.tool import hints

            parameters = hints.schema_from(execute)
            self._converters = hints.converters_from(execute)
        self.schema = validation.checked_schema(parameters)
        self._faults = validation.fault_finder(self.schema)
        self._signature = inspect.signature(execute)

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

    def _converted(self, name: str, value: Any) -> Any:
        converter = self._converters.get(name)
        if converter is None:
            return value
        from myagent.tool.hints import UnfitError
        from myagent.tool.validation import short

        try:
            return converter(value)
        except UnfitError as error:
            place = ".".join(map(str, (name, *error.place)))
            raise _mismatch(f"at {place}: {short(str(error))}") from error


def _mismatch(reason: str) -> ArgumentsError:
    return ArgumentsError(
        f"The arguments do not fit the tool's schema: {reason}. "
        "Correct them and call the tool again."
    )
