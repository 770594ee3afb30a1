"""Fields of an object that another process wrote, each checked as it is read. No I/O.

All raise `LinkError` with a sentence that names the field.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from myagent.worker.framing import MAX_FRAME_BYTES
from myagent.worker.protocol import LinkError

Json = dict[str, Any]

MAX_NAME = 1000
"""Characters of a name that agent code or a model gave."""

MAX_NUMBER = 2**53 - 1
"""Above it JavaScript, which clients are written in, counts wrong."""

MAX_DEPTH = 64
"""Of lists and objects in each other. Databases and JSON's writers end at some hundred."""


def text(data: Json, name: str, most: int = MAX_FRAME_BYTES) -> str:
    """A text of at most so many characters."""
    value = _value(data, name)
    if type(value) is not str:
        raise _wrong(name, "a text", value)
    if len(value) > most:
        raise LinkError(f"'{name}' has {len(value)} characters; {most} are allowed")
    return value


def count(data: Json, name: str) -> int:
    """A whole number from 0 to `MAX_NUMBER`."""
    value = _value(data, name)
    if type(value) is not int or not 0 <= value <= MAX_NUMBER:
        raise _wrong(name, "a whole number from 0", value)
    return value


def count_or_none(data: Json, name: str) -> int | None:
    return None if _value(data, name) is None else count(data, name)


def number(data: Json, name: str) -> float:
    """A number from 0 to `MAX_NUMBER`."""
    value = _value(data, name)
    if type(value) not in (int, float) or not 0 <= value <= MAX_NUMBER:
        raise _wrong(name, "a number from 0", value)
    return float(value)


def number_or_none(data: Json, name: str) -> float | None:
    return None if _value(data, name) is None else number(data, name)


def flag(data: Json, name: str) -> bool:
    value = _value(data, name)
    if type(value) is not bool:
        raise _wrong(name, "true or false", value)
    return value


def one_of(data: Json, name: str, allowed: Collection[Any]) -> Any:
    value = _value(data, name)
    if type(value) is not str or value not in allowed:
        raise _wrong(name, f"one of {', '.join(sorted(allowed))}", value)
    return value


def json_object(data: Json, name: str) -> Json:
    """An object, not nested deeper than `MAX_DEPTH`."""
    value = _value(data, name)
    if type(value) is not dict:
        raise _wrong(name, "an object", value)
    layer: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        layer = [inner for outer in layer for inner in _inside(outer)]
        if not layer:
            return value
    raise LinkError(f"'{name}' is nested deeper than {MAX_DEPTH} times")


def items(data: Json, name: str, most: int) -> list[Any]:
    """A list of at most so many."""
    value = _value(data, name)
    if type(value) is not list:
        raise _wrong(name, "a list", value)
    if len(value) > most:
        raise LinkError(f"'{name}' has {len(value)} items; {most} are allowed")
    return value


def objects(data: Json, name: str, most: int) -> list[Json]:
    """A list of at most so many objects."""
    found = items(data, name, most)
    for value in found:
        if type(value) is not dict:
            raise _wrong(name, "a list of objects", value)
    return found


def texts(data: Json, name: str, most: int, longest: int) -> tuple[str, ...]:
    """A list of limited length, of texts with at most `longest` characters each."""
    found = items(data, name, most)
    for value in found:
        if type(value) is not str:
            raise _wrong(name, "a list of texts", value)
        if len(value) > longest:
            raise LinkError(
                f"'{name}' has a text of {len(value)} characters; {longest} are allowed"
            )
    return tuple(found)


def _value(data: Json, name: str) -> Any:
    try:
        return data[name]
    except KeyError:
        raise LinkError(f"'{name}' is missing") from None


def _inside(value: Any) -> list[Any]:
    """The lists and objects that lie in a list or an object."""
    values = value.values() if type(value) is dict else value
    return [inner for inner in values if type(inner) in (dict, list)]


def _wrong(name: str, wanted: str, value: object) -> LinkError:
    return LinkError(f"'{name}' must be {wanted}, not {repr(value)[:80]}")
