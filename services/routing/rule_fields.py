"""The valid values of a rule's fields. No I/O.

What is refused raises `services.errors.ServiceError`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.utils.translation import gettext_noop

from services import fields as of_services
from services.errors import ServiceError
from services.fields import MAX_NAME, invalid, is_storable
from services.routing.conditions import (
    FIELDS,
    LISTS,
    MAX_PATTERN,
    PREFIXES,
    InvalidPattern,
    pattern,
)
from services.routing.rules import Operator, Strategy

MAX_CONDITIONS = 20
MAX_VALUE = 1000
MAX_VALUES = 100
MAX_FIELD = 200
MAX_TARGETS = 50
MAX_PRIORITY = 1_000_000

HEADER = re.compile(r"header\.[A-Za-z0-9!#$%&'*+.^_`|~-]+")

CONDITION = ("field", "operator", "value", "case_sensitive")

RULE = (
    *("name", "description", "priority", "weight", "enabled", "conditions"),
    *("target_strategy", "target_services", "target_tags", "fallback_strategy"),
)
"""The fields of a rule that people set."""


def checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in the form in which they are stored."""
    unknown = set(fields) - set(RULE)
    if unknown:
        raise TypeError(f"a rule has no field {', '.join(sorted(unknown))}")
    return {
        name: value if (check := _CHECKS.get(name)) is None else check(value)
        for name, value in fields.items()
    }


def checked_conditions(conditions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The `field` of a refusal is `conditions`, or `conditions.N` for one of them, from 0."""
    found = list(conditions)
    if len(found) > MAX_CONDITIONS:
        raise _invalid(gettext_noop("A rule has at most 20 conditions."))
    return [_condition_in(place, each) for place, each in enumerate(found)]


def _condition_in(place: int, given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return _condition(given)
    except ServiceError as error:
        error.field = f"conditions.{place}"
        raise


def _condition(given: Mapping[str, Any]) -> dict[str, Any]:
    field, operator = _field(given.get("field")), _operator(given.get("operator"))
    case_sensitive = given.get("case_sensitive", True)
    if not isinstance(case_sensitive, bool):
        raise _invalid(gettext_noop("case_sensitive is true or false."))
    value = _value(operator, given.get("value"), case_sensitive=case_sensitive)
    return dict(zip(CONDITION, (field, operator.value, value, case_sensitive), strict=True))


def _field(text: object) -> str:
    if isinstance(text, str) and len(text) <= MAX_FIELD and is_storable(text):
        prefix = next((each for each in PREFIXES if text.startswith(each)), "")
        is_named = bool(prefix) and text != prefix
        if text in FIELDS or (is_named and (prefix != "header." or HEADER.fullmatch(text))):
            return text
    raise _invalid(
        gettext_noop("'{name}' can't be a condition's field: give one of {fields}."),
        name=str(text)[:MAX_NAME],
        fields=", ".join((*FIELDS, *(f"{prefix}NAME" for prefix in PREFIXES))),
    )


def _operator(text: object) -> Operator:
    try:
        return Operator(str(text))
    except ValueError:
        raise _invalid(
            gettext_noop("There is no operator '{name}': give one of {operators}."),
            name=str(text)[:MAX_NAME],
            operators=", ".join(Operator),
        ) from None


def _value(operator: Operator, value: Any, *, case_sensitive: bool) -> Any:
    if operator is Operator.EXISTS:
        return _yes_or_no(value)
    if operator in LISTS:
        texts = [_text(each) for each in _several(value)]
        if not 1 <= len(texts) <= MAX_VALUES:
            raise _invalid(gettext_noop("A list has 1 to 100 values."))
        return [_network(text) for text in texts] if operator is Operator.CIDR else texts
    text = _text(value)
    if operator is Operator.REGEX_MATCH:
        _check_pattern(text, case_sensitive=case_sensitive)
    return text


def _yes_or_no(value: Any) -> bool:
    words = {"": True, "true": True, "false": False}
    if value is None or isinstance(value, bool):
        return value is not False
    if (found := words.get(str(value).lower())) is None:
        raise _invalid(gettext_noop("'exists' takes true or false."))
    return found


def _several(value: Any) -> Iterable[Any]:
    if isinstance(value, str):
        return [text.strip() for text in value.split(",") if text.strip()]
    if isinstance(value, list | tuple | set | frozenset):
        return value
    raise _invalid(gettext_noop("The value is a list of texts."))


def _text(value: Any) -> str:
    # NUL and surrogates can't be stored, and no client sends them in a header.
    if not isinstance(value, str) or not value or len(value) > MAX_VALUE or not is_storable(value):
        raise _invalid(gettext_noop("The value of a condition is a text of 1 to 1000 characters."))
    return value


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise _invalid(
            gettext_noop("'{text}' is no address or network, such as 10.0.0.0/8."), text=text
        ) from None


def _check_pattern(text: str, *, case_sensitive: bool) -> None:
    if len(text) > MAX_PATTERN:
        raise _invalid(gettext_noop("A regular expression has at most 500 characters."))
    try:
        pattern(text, case_sensitive=case_sensitive)
    except InvalidPattern as error:
        raise _invalid(
            gettext_noop("'{text}' is not a valid regular expression: {reason}."),
            text=text[:MAX_NAME],
            reason=str(error),
        ) from None


def _invalid(template: str, **values: Any) -> ServiceError:
    return invalid("conditions", template, **values)


def _name(value: str) -> str:
    # The API has names in its paths.
    is_legal = value.strip() and len(value) <= MAX_NAME and value.isprintable()
    if not is_legal or "/" in value:
        raise invalid(
            "name",
            gettext_noop("A rule's name has 1 to 100 characters, on one line, and no slash."),
        )
    return value.strip()


def _priority(value: int) -> int:
    if not 0 <= value <= MAX_PRIORITY:
        raise invalid(
            "priority",
            gettext_noop("{field} must be between {low} and {high}."),
            low=0,
            high=MAX_PRIORITY,
        )
    return value


def _strategy(field: str, *, may_lack: bool) -> Callable[[str | None], str]:
    def check(value: str | None) -> str:
        if not value and may_lack:
            return ""
        try:
            return Strategy(str(value)).value
        except ValueError:
            raise invalid(
                field,
                gettext_noop("There is no strategy '{name}': give one of {strategies}."),
                name=str(value)[:MAX_NAME],
                strategies=", ".join(Strategy),
            ) from None

    return check


def _services(value: Iterable[str]) -> list[str]:
    """In their order, which `manual` follows."""
    names = list(dict.fromkeys(value))
    if len(names) > MAX_TARGETS:
        raise invalid("target_services", gettext_noop("A rule names at most 50 services."))
    check = _as_of_a_service("name", field="target_services")
    return [check(name) for name in names]


def _as_of_a_service(name: str, *, field: str) -> Callable[[Any], Any]:
    """What is valid for a service's field is valid for the rule's."""

    def check(value: Any) -> Any:
        try:
            return of_services.checked({name: value})[name]
        except ServiceError as error:
            error.field = field
            raise

    return check


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "name": _name,
    "description": _as_of_a_service("description", field="description"),
    "priority": _priority,
    "weight": _as_of_a_service("weight", field="weight"),
    "conditions": checked_conditions,
    "target_strategy": _strategy("target_strategy", may_lack=False),
    "fallback_strategy": _strategy("fallback_strategy", may_lack=True),
    "target_services": _services,
    "target_tags": _as_of_a_service("tags", field="target_tags"),
}
