"""The arguments of a tool: their JSON schema, and the check of what a model wrote."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from myagent import exact_json

if TYPE_CHECKING:
    from myagent.tool.hints import Hints


class ArgumentsError(Exception):
    """The arguments of a call can't be used; a sentence for the model."""


class Arguments:
    """The check of one tool's arguments; its schema is compiled once.

    `parameters` is a JSON schema; None: it is made from the signature of
    `execute`. Raises `ToolDefinitionError`.
    """

    def __init__(self, execute: Callable[..., Any], parameters: Any) -> None:
        from myagent.tool import validation

        self._signature = inspect.signature(execute)
        self._hints: Hints | None = None
        if parameters is None or _needs_pydantic(self._signature):
            from myagent.tool.hints import Hints

            self._hints = Hints(execute)
            if parameters is None:
                parameters = self._hints.schema()
        self.schema = validation.checked_schema(parameters)
        self._faults = validation.fault_finder(self.schema)

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
        if self._hints is not None:
            return _values(self._hints, args)
        try:
            self._signature.bind(**args)
        except TypeError as error:
            raise _mismatch(str(error)) from error
        return dict(args)


def _needs_pydantic(signature: inspect.Signature) -> bool:
    """Whether a default is pydantic's `Field`: Python itself would use that as the value."""
    defaults = (parameter.default for parameter in signature.parameters.values())
    return any(type(default).__module__ == "pydantic.fields" for default in defaults)


def _values(hints: Hints, args: Mapping[str, Any]) -> dict[str, Any]:
    from myagent.tool.hints import UnfitError
    from myagent.tool.validation import short

    try:
        return hints.values(args)
    except UnfitError as error:
        place = ".".join(map(str, error.place))
        raise _mismatch(f"at {place}: {short(str(error))}") from error


def _mismatch(reason: str) -> ArgumentsError:
    return ArgumentsError(
        f"The arguments do not fit the tool's schema: {reason}. "
        "Correct them and call the tool again."
    )
