"""Text for people that remembers what it was made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self


class Sentence(str):
    """English text, as in `Sentence("{file} is a directory.", file=path)`.

    Whoever speaks another language translates `template` and fills in `values`;
    among those may be sentences again.
    """

    template: str
    values: dict[str, object]

    __slots__ = ("template", "values")

    def __new__(cls, template: str, /, **values: object) -> Self:
        text = super().__new__(cls, template.format(**values))
        text.template = template
        text.values = values
        return text

    def __reduce__(self) -> tuple[object, ...]:
        # Copied or pickled it is plain text, which no longer is to be formatted.
        return str, (str(self),)


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence as data: its template, and values that are plain or sentences again.

    The template comes from another process: fill it in by names alone, never
    with `str.format`, which would look into objects and pad without a limit.
    """

    template: str
    values: Mapping[str, str | int | float | Said] = field(default_factory=dict)


PLACE = re.compile(r"\{(\w+)\}")


def fill(template: str, values: Mapping[str, object], told: Callable[[object], str | None]) -> str:
    """The template with its places filled; one for whose value `told` has no text stays as it is.

    It may come from elsewhere, so it is data: `str.format` would look into
    objects for it, and pad without a limit.
    """

    def text_for(place: re.Match[str]) -> str:
        text = told(values.get(place[1]))
        return place[0] if text is None else text

    return PLACE.sub(text_for, template)
