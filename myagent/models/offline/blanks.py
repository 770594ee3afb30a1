"""The open parameters of a tool while a question is read for their values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from myagent.models.offline.parameters import Parameter
from myagent.models.offline.reading import Reading
from myagent.models.offline.values import fits
from myagent.models.offline.words import stem

MAX_VARIANTS = 4
"""How many calls of one tool a question with several values may become."""


@dataclass(slots=True)
class Blanks:
    """`more`: what further calls of the same tool have other than `values`."""

    reading: Reading
    parameters: tuple[Parameter, ...]
    values: dict[str, Any] = field(default_factory=dict)
    more: list[dict[str, Any]] = field(default_factory=list)

    def open(self, *types: str) -> list[Parameter]:
        """The parameters of these types that have no value yet, required ones first."""
        return [p for p in self.parameters if p.name not in self.values and p.type in types]

    def open_strings(self) -> list[Parameter]:
        """Those that take any text: the ones with an `enum` take what it lists, or nothing."""
        return [p for p in self.open("string") if not p.values]

    def give(self, parameter: Parameter, value: Any, start: int, end: int) -> bool:
        """Fills one in, unless its schema forbids the value; says whether it did."""
        if not fits(value, parameter.schema):
            return False
        self.values[parameter.name] = value
        self.reading.take(start, end)
        return True

    def vary(self, parameter: Parameter, value: str) -> None:
        """One more call with another value, when that is the only thing in question."""
        is_clear = not any(p.required for p in self.open_strings())
        if is_clear and fits(value, parameter.schema) and len(self.more) < MAX_VARIANTS - 1:
            self.more.append({parameter.name: value})


def mentions(reading: Reading, values: Iterable[Any]) -> list[tuple[Any, int, int]]:
    """Where listed values stand in the text: as written first, then by their stem."""
    found: list[tuple[Any, int, int]] = []
    for value in sorted(values, key=lambda value: -len(str(value))):
        words = str(value)
        body = r"[\s_-]+".join(map(re.escape, re.split(r"[\s_-]+", words)))
        if words.isascii():
            body = rf"(?<![A-Za-z0-9_])(?:{body})(?![A-Za-z0-9_])"
        for match in re.finditer(body, reading.text, re.IGNORECASE):
            clash = any(start < match.end() and match.start() < end for _, start, end in found)
            if reading.is_free(*match.span()) and not clash:
                found.append((value, *match.span()))
                break
    if found:
        return found
    by_stem = {stem(str(value)): value for value in values if str(value).isascii()}
    for token in reading.tokens():
        if stem(token.text) in by_stem and reading.is_free(token.start, token.end):
            return [(by_stem[stem(token.text)], token.start, token.end)]
    return []
