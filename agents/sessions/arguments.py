"""Checks arguments written by a person against the schema of the tool that asks. No I/O.

The schema comes from an agent file and the arguments from a client, so the check is limited in
time, and patterns are matched by an engine that takes linear time. What can't be decided within the
limit, or is not expressed by the schema, is left to the tool.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from itertools import islice
from typing import Any

import structlog
from jsonschema import FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import (
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
    extend,
)
from pydantic_core import SchemaError, SchemaValidator, core_schema
from pydantic_core import ValidationError as NoMatch
from referencing import Registry

from agents.sessions.faults import told
from myagent.tool.validation import FAULTS_TOLD

logger = structlog.get_logger(__name__)

MOST_CPU_S = 0.2
"""Seconds of CPU time for a check; a usual one takes a thousandth of it."""

MOST_UNIQUE = 200
"""Maximum number of items that are compared with each other."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""What a schema is written in if it does not say."""

DRAFTS: dict[str, Any] = {
    "http://json-schema.org/draft-04/schema": Draft4Validator,
    "http://json-schema.org/draft-06/schema": Draft6Validator,
    "http://json-schema.org/draft-07/schema": Draft7Validator,
    "https://json-schema.org/draft/2019-09/schema": Draft201909Validator,
    DIALECT: Draft202012Validator,
}

FORMATS = FormatChecker(formats=["date", "email", "ipv4", "ipv6", "uuid"])
"""Those that can be decided in linear time; others are left to the tool."""

Keyword = Callable[[Any, Any, Any, Any], Iterable[ValidationError] | None]

_end: ContextVar[float] = ContextVar("end")
"""The end of the current check by the thread's own clock: the work of others does not count."""


class _TooMuchError(Exception):
    """The check would take too long."""


def unfit(args: Mapping[str, Any], schema: Mapping[str, Any] | None, lang: str = "en") -> str:
    """What is wrong with the arguments, in a language of the site.

    '' if nothing is, or it can't be decided here.
    """
    validator = None if schema is None else _validator_for(schema.get("$schema", DIALECT))
    if validator is None:
        return ""
    _end.set(time.thread_time() + MOST_CPU_S)
    try:
        faults = list(islice(_checked(validator, args, schema), FAULTS_TOLD))
    except (_TooMuchError, RecursionError):
        return ""
    except Exception as error:
        # A schema may be wrong in any way; a run that gets that far reports it.
        logger.info("schema_not_usable", error=repr(error)[:200])
        return ""
    return "; ".join(told(fault, lang) for fault in faults)


def _checked(
    validator: Any, args: Mapping[str, Any], schema: Mapping[str, Any] | None
) -> Iterator[ValidationError]:
    # An empty registry: a $ref to an address must not cause a network request.
    return validator(schema, registry=Registry()).iter_errors(args)  # type: ignore[no-any-return]


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> SchemaValidator | None:
    """Matches a pattern in linear time. None: the engine does not support the pattern."""
    try:
        schema = core_schema.str_schema(pattern=pattern, regex_engine="rust-regex")
        return SchemaValidator(schema)
    except SchemaError:
        return None


def _pattern(_: Any, pattern: Any, value: Any, __: Any) -> Iterator[ValidationError]:
    matcher = _matcher(pattern) if isinstance(value, str) else None
    if matcher is None:
        return
    try:
        matcher.validate_python(value)
    except NoMatch:
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _named_by(pattern: Any, names: Iterable[str]) -> Iterator[str] | None:
    """The names that match the pattern; None if the engine does not support it."""
    matcher = _matcher(pattern)
    return None if matcher is None else (name for name in names if _matches(matcher, name))


def _matches(matcher: SchemaValidator, name: str) -> bool:
    if time.thread_time() > _end.get():
        raise _TooMuchError
    return matcher.isinstance_python(name)


def _pattern_properties(
    validator: Any, patterns: Any, value: Any, _: Any
) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    for pattern, schema in patterns.items():
        for name in _named_by(pattern, value) or ():
            yield from validator.descend(value[name], schema, path=name, schema_path=pattern)


def _additional(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    check = Draft202012Validator.VALIDATORS["additionalProperties"]
    if not isinstance(value, dict):
        return
    known: set[str] = set()
    for pattern in schema.get("patternProperties", ()):
        named = _named_by(pattern, value)
        if named is None:
            return
        known.update(named)
    # The library's check would look for the patterns with an engine that may take for ever.
    others = {name: each for name, each in value.items() if name not in known}
    plain = {name: each for name, each in schema.items() if name != "patternProperties"}
    yield from check(validator, wanted, others, plain)


def _format(_: Any, wanted: Any, value: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(wanted, str) and not FORMATS.conforms(value, wanted):
        yield ValidationError(f"{value!r} is not a {wanted!r}")


def _unique(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, list) and len(value) <= MOST_UNIQUE:
        yield from Draft202012Validator.VALIDATORS["uniqueItems"](validator, wanted, value, schema)


def _nothing(*_: Any) -> None:
    """Replaces the check of a keyword that is left to the tool."""


def _bounded(keyword: Keyword) -> Keyword:
    def check(*args: Any) -> Iterator[ValidationError]:
        if time.thread_time() > _end.get():
            raise _TooMuchError
        yield from keyword(*args) or ()

    return check


_OWN: dict[str, Keyword] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "format": _format,
    "additionalProperties": _additional,
    "unevaluatedItems": _nothing,
    "unevaluatedProperties": _nothing,
    "uniqueItems": _unique,
}


def _bounded_draft(draft: Any) -> Any:
    keywords = draft.VALIDATORS | {n: own for n, own in _OWN.items() if n in draft.VALIDATORS}
    checks = {name: _bounded(keyword) for name, keyword in keywords.items()}
    return extend(draft, checks)  # type: ignore[no-untyped-call]


_BOUNDED = {name: _bounded_draft(draft) for name, draft in DRAFTS.items()}


def _validator_for(dialect: Any) -> Any:
    """None: the dialect is not known here."""
    return _BOUNDED.get(dialect.removesuffix("#")) if isinstance(dialect, str) else None
