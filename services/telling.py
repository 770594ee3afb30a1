"""What went wrong, kept as what happened, and told in the language of whoever reads it.

What is kept is text: a mark, and the JSON of its parts. A part is text that stands as it is, or a
sentence's template and its values. Text without the mark stands as it is as a whole: what a runner
says of its own agent file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from django.utils import translation

from myagent.tool.text import clean
from services.errors import ServiceError

MARK = "\x1e"
"""ASCII's record separator, with which no sentence begins."""


class Sentence(NamedTuple):
    """`template` is marked with `gettext_noop`; `values` are numbers and text."""

    template: str
    values: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it


Part = str | Sentence


def kept(*parts: Part) -> str:
    """The parts, one after the other, as they are kept."""
    if all(isinstance(part, str) for part in parts):
        return "".join(map(str, parts))
    return MARK + orjson.dumps([_json(part) for part in parts]).decode()


def kept_error(error: ServiceError) -> str:
    """What the error says, as it is kept."""
    return kept(Sentence(error.template, error.values | {"field": error.field}))


def parts_of(text: str) -> Sequence[Part]:
    """What `kept` was given; of what it did not make, the text itself."""
    if not text.startswith(MARK):
        return (text,)
    try:
        parts = orjson.loads(text[len(MARK) :])
    except orjson.JSONDecodeError:
        return (text[len(MARK) :],)
    return [_part(part) for part in parts] if isinstance(parts, list) else (str(parts),)


def told(text: str) -> str:
    """What was kept, in the active language."""
    return "".join(_told(part) for part in parts_of(text))


def _json(part: Part) -> Any:
    if isinstance(part, str):
        return clean(part)
    return [part.template, {name: _plain(value) for name, value in part.values.items()}]


def _plain(value: Any) -> int | float | str:
    return value if isinstance(value, int | float) else clean(str(value))


def _part(part: Any) -> Part:
    match part:
        case [str(template), dict(values)]:
            return Sentence(template, values)
        case _:
            return str(part)


def _told(part: Part) -> str:
    if isinstance(part, str):
        return part
    template = translation.gettext(part.template) if part.template else ""
    try:
        return template.format(**part.values)
    except (LookupError, ValueError, AttributeError, TypeError):
        return template  # Another version of this site wrote it.
