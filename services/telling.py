"""Stores what went wrong as templates and values, to be told in the language of the reader.

The stored form is text: a mark, and the JSON of the parts. A part is literal text, or a sentence's
template and its values, which may be sentences again. Text without the mark is literal as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from django.utils import translation

from myagent.sentence import Said, fill
from myagent.tool.text import clean

MARK = "\x1e"
"""ASCII's record separator, with which no sentence begins."""

WIDEST = 2**63
"""Numbers from here on are stored as text: JSON readers can't represent them."""


MAX_DEPTH = 4
"""The deepest nesting of sentences; deeper ones are left out."""


def tell(said: Said) -> str:
    """The sentence in the active language. Never raises: another version may have stored it.

    A placeholder without a plain value stays as it is.
    """
    template = translation.gettext(said.template) if said.template else ""
    return fill(template, said.values, _told_value)


def _told_value(value: object) -> str | None:
    if isinstance(value, Said):
        return tell(value)
    return str(value) if isinstance(value, int | float | str) else None


Part = str | Said


def kept(*parts: Part) -> str:
    """The stored form of the parts, one after the other."""
    texts = [clean(part) for part in parts if isinstance(part, str)]
    if len(texts) == len(parts) and not (text := "".join(texts)).startswith(MARK):
        return text
    return MARK + orjson.dumps([_json(part) for part in parts]).decode()


def parts_of(text: str) -> Sequence[Part]:
    """The inverse of `kept`; for other text, the text itself."""
    if not text.startswith(MARK):
        return (text,)
    try:
        parts = orjson.loads(text[len(MARK) :])
    except orjson.JSONDecodeError:
        return (text[len(MARK) :],)
    return [_part(part) for part in parts] if isinstance(parts, list) else (str(parts),)


def told(text: str) -> str:
    """A stored text, in the active language."""
    parts = parts_of(text)
    return "".join(part if isinstance(part, str) else tell(part) for part in parts)


def plain(value: Any) -> int | float | str:
    """The value in a form that can be stored."""
    is_number = isinstance(value, int | float) and -WIDEST < value < WIDEST
    return value if is_number else clean(str(value))


def _json(part: Part, depth: int = 0) -> Any:
    if isinstance(part, str):
        return clean(part)
    values = {name: _value_json(value, depth + 1) for name, value in part.values.items()}
    return [part.template, values]


def _value_json(value: Any, depth: int) -> Any:
    if not isinstance(value, Said):
        return plain(value)
    return _json(value, depth) if depth < MAX_DEPTH else ""


def _part(part: Any, depth: int = 0) -> Part:
    match part:
        case [str(template), dict(values)] if depth < MAX_DEPTH:
            return Said(template, {name: _value(values[name], depth + 1) for name in values})
        case _:
            return str(part)


def _value(value: Any, depth: int) -> Any:
    match value:
        case [str(), dict()]:
            return _part(value, depth)
        case _:
            return value
