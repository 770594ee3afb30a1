"""The conditions of rules: fields of a client's facts, compared with values. No I/O.

Regular expressions are RE2's, whose time is linear in the text: none can hang the router.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import re2

from services.routing.rules import Condition, Facts, Operator

FIELDS = ("client_ip", "user_agent", "path", "user")
PREFIXES = ("header.", "query.", "metadata.")

MOST_COMPARED = 2048
"""Characters of a fact that are compared, over all its values: clients may send any number."""

MOST_VALUES = 100
"""Values of a fact with several, such as `metadata.tags`, that are compared."""

MAX_PATTERN = 500
"""Maximum length of a regular expression, in characters."""

MAX_PATTERN_BYTES = 1 << 20
"""Memory that a compiled regular expression may take."""

LISTS = frozenset({Operator.IN_LIST, Operator.NOT_IN_LIST, Operator.CIDR})
"""Operators that compare with several values."""

Test = Callable[[str], bool]


class InvalidPattern(ValueError):
    """RE2 can't compile a regular expression; the text says why."""


def holds(condition: Condition, facts: Facts) -> bool:
    """Whether the condition holds. Of a fact with several values, any may fulfil it.

    An operator with `not` holds where no value does what it excludes, and where there is none.
    """
    values = values_of(condition.field, facts)
    if condition.operator is Operator.EXISTS:
        return bool(values) == condition.value
    test, is_negated = _compiled(condition)
    return any(map(test, values)) != is_negated


def values_of(field: str, facts: Facts) -> Sequence[str]:
    """The texts that a field has in these facts; none if the client did not send it."""
    kind, _, name = field.partition(".")
    match kind:
        case "header":
            found: Any = facts.headers.get(name.lower())
        case "query":
            found = facts.query.get(name)
        case "metadata":
            found = _within(facts.metadata, name)
        case _:
            # Connections always have these; an empty one is not known.
            found = getattr(facts, kind) or None
    several = found if isinstance(found, list | tuple) else [found]
    texts: list[str] = []
    left = MOST_COMPARED
    for text in map(_text, several[:MOST_VALUES]):
        if text is not None and left > 0:
            texts.append(text[:left])
            left -= len(text)
    return texts


def _within(metadata: Mapping[str, Any], name: str) -> Any:
    """An entry, or one within it: `client.plan`. A name with dots is tried as it is first."""
    if name in metadata:
        return metadata[name]
    first, dot, rest = name.partition(".")
    inner = metadata.get(first)
    return _within(inner, rest) if dot and isinstance(inner, Mapping) else None


def _text(value: Any) -> str | None:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            return None


NEGATED = {
    Operator.NOT_EQUALS: Operator.EQUALS,
    Operator.NOT_CONTAINS: Operator.CONTAINS,
    Operator.NOT_IN_LIST: Operator.IN_LIST,
}


@lru_cache(maxsize=4096)
def _compiled(condition: Condition) -> tuple[Test, bool]:
    """How a value is tested, and whether none may pass."""
    is_negated = condition.operator in NEGATED
    operator = NEGATED.get(condition.operator, condition.operator)
    if operator is Operator.REGEX_MATCH:
        return _searches(condition), is_negated
    if operator is Operator.CIDR:
        return _is_within(condition), is_negated
    fold = _same if condition.case_sensitive else str.casefold
    if operator is Operator.IN_LIST:
        allowed = frozenset(map(fold, texts(condition.value)))
        return lambda text: fold(text) in allowed, is_negated
    wanted = fold(str(condition.value))
    compare = _COMPARISONS[operator]
    return lambda text: compare(fold(text), wanted), is_negated


_COMPARISONS: dict[Operator, Callable[[str, str], bool]] = {
    Operator.EQUALS: lambda text, wanted: text == wanted,
    Operator.CONTAINS: lambda text, wanted: wanted in text,
    Operator.STARTS_WITH: lambda text, wanted: text.startswith(wanted),
    Operator.ENDS_WITH: lambda text, wanted: text.endswith(wanted),
}


def _same(text: str) -> str:
    return text


def texts(value: object) -> Iterable[str]:
    """The values of a condition that has several, or one."""
    return value if isinstance(value, tuple) else (str(value),)


def pattern(text: str, *, case_sensitive: bool) -> Any:
    """The compiled regular expression, to be searched for. Raises `InvalidPattern`."""
    options = re2.Options()
    options.max_mem = MAX_PATTERN_BYTES
    options.case_sensitive = case_sensitive
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        raise InvalidPattern(said.decode() if isinstance(said, bytes) else str(said)) from error


def _searches(condition: Condition) -> Test:
    compiled = pattern(str(condition.value), case_sensitive=condition.case_sensitive)
    # It takes no lone surrogates, which JSON may hold.
    return lambda text: compiled.search(text.encode(errors="replace").decode()) is not None


def _is_within(condition: Condition) -> Test:
    networks = [ipaddress.ip_network(text, strict=False) for text in texts(condition.value)]

    def test(text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        # A socket for both versions reports IPv4 clients in this form.
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in networks)

    return test
