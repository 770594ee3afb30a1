"""Text for people that remembers what it was made of."""

from __future__ import annotations

from collections.abc import Mapping
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
