"""A tool's arguments, found in a question: none is invented, and the schema has the last word."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from myagent.models.offline.reading import Reading, Span
from myagent.models.offline.tools import Parameter, Tool
from myagent.models.offline.words import words_of

MAX_CALLS = 5
NEAR = 8
"""Characters beside an option's name in which a 'yes' or 'no' is looked for."""

_TEXTS = frozenset(
    (
        *("text", "message", "content", "body", "query", "question", "sentence", "comment", "note"),
        *("problem", "issue", "topic", "description", "reason", "expression", "formula", "内容"),
    )
)
"""Words in the names of parameters that hold free text."""
_YES = re.compile(r"(?<!\w)(?:true|yes|on|是|开)(?!\w)", re.IGNORECASE)
_NO = re.compile(r"\b(?:false|no|not|off|without)\b|不|否|关", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Filled:
    """`variants` are the arguments of one call, or of several that differ in one value.

    There are none if something is `missing`, or the schema refuses them.
    `has_found` says whether the question had any.
    """

    variants: list[dict[str, Any]]
    missing: tuple[Parameter, ...]
    has_found: bool


def fill(
    question: str, tool: Tool, known: Mapping[str, Any] | None = None, beside: Collection[Tool] = ()
) -> Filled:
    """Looks for the arguments; what is required and not in the question is taken from `known`.

    `beside` are tools that are asked in the same breath: their words are no values either.
    """
    own = tool.own.union(*(other.own for other in beside))
    form = _Form(tool, Reading(question, own))
    form.fill()
    has_found = bool(form.args)
    for parameter in form.open():
        if known and parameter.is_required and parameter.name in known:
            form.give(parameter, known[parameter.name])
    missing = tuple(parameter for parameter in form.open() if parameter.is_required)
    variants = [{**form.args, **other} for other in ({}, *form.others)]
    return Filled(list(filter(tool.takes, variants))[:MAX_CALLS], missing, has_found)


class _Form:
    """A tool's parameters on their way to arguments; `others` are what further calls have."""

    def __init__(self, tool: Tool, reading: Reading) -> None:
        self.tool = tool
        self.reading = reading
        self.args: dict[str, Any] = {}
        self.others: list[dict[str, Any]] = []

    def fill(self) -> None:
        """The surest evidence first: what one step takes, the next does not see."""
        self._choices()
        self._numbers()
        self._yes_or_no()
        self._text(self.reading.said_text)
        self._lists()
        self._names()
        self._text(self.reading.rest)

    def open(self, *kinds: str) -> list[Parameter]:
        """The parameters without a value, required ones first."""
        found = [p for p in self.tool.parameters if p.name not in self.args]
        found = [p for p in found if not kinds or p.kind in kinds]
        return sorted(found, key=lambda parameter: not parameter.is_required)

    def strings(self, *, are_texts: bool) -> list[Parameter]:
        """The open ones that take words as they are said."""
        found = [p for p in self.open("string") if not p.choices]
        return [p for p in found if are_texts != _TEXTS.isdisjoint(words_of(p.name))]

    def give(self, parameter: Parameter, value: Any, *spans: Span) -> bool:
        """Takes a value that stands at `spans`, unless the schema refuses it."""
        if not self.tool.may_take({**self.args, parameter.name: value}):
            return False
        self.args[parameter.name] = value
        for span in spans:
            self.reading.take(*span)
        return True

    def give_text(self, parameter: Parameter, span: Span) -> bool:
        return self.give(parameter, self._said(span), span)

    def _said(self, span: Span) -> str:
        return self.reading.text[slice(*span)]

    def _choices(self) -> None:
        """The values that the schema lists and the question names."""
        for parameter in self.open():
            named = self._named(parameter.choices)
            if named and parameter.kind == "array":
                self.give(parameter, [value for value, _ in named], *(span for _, span in named))
            else:
                any(self.give(parameter, value, span) for value, span in named)

    def _named(self, choices: Sequence[Any]) -> list[tuple[Any, Span]]:
        found = []
        for value in choices:
            word = re.escape(str(value)).replace("_", r"[\s_-]")
            bounded = rf"(?<![A-Za-z\d]){word}s?(?![A-Za-z\d])" if str(value).isascii() else word
            said = re.search(bounded, self.reading.text, re.IGNORECASE)
            if said and self.reading.is_free(*said.span()):
                found.append((value, said.span()))
        return sorted(found, key=lambda one: one[1])

    def _numbers(self) -> None:
        """The number nearest to a parameter's name is its; the others go by their order."""
        for parameter in sorted(self.open("integer", "number"), key=self._is_unnamed):
            at = self._place(parameter) or 0
            found = sorted(self.reading.numbers(), key=lambda one: abs(one[1][0] - at))
            any(self.give(parameter, value, span) for value, span in found)

    def _yes_or_no(self) -> None:
        """An option that is named is wanted, but for a 'no' beside it."""
        for parameter in self.open("boolean"):
            at = self._place(parameter)
            near = self.reading.text if parameter.is_required else ""
            if at is not None:
                near = self.reading.text[max(at - NEAR, 0) : at + len(parameter.name) + NEAR]
            if at is not None or _YES.search(near) or _NO.search(near):
                self.give(parameter, not _NO.search(near))

    def _place(self, parameter: Parameter) -> int | None:
        name = r"[\s_-]*".join(map(re.escape, words_of(parameter.name))) or "(?!)"
        said = re.search(rf"(?<![A-Za-z]){name}s?(?![A-Za-z])", self.reading.text, re.IGNORECASE)
        return said.start() if said else None

    def _is_unnamed(self, parameter: Parameter) -> bool:
        return self._place(parameter) is None

    def _text(self, find: Callable[[], Span | None]) -> None:
        """The first text that is open, for there is only one such stretch."""
        for parameter in self.strings(are_texts=True)[:1]:
            if span := find():
                self.give_text(parameter, span)

    def _lists(self) -> None:
        """A list takes all the numbers that are left, or the names that are joined."""
        for parameter in self.open("array"):
            numbers, names = self.reading.numbers(), self.reading.group()
            if not numbers or not self.give(
                parameter, [value for value, _ in numbers], *(span for _, span in numbers)
            ):
                self.give(parameter, [self._said(span) for span in names], *names)

    def _names(self) -> None:
        """Names in the order of the parameters; several for a single one are several calls."""
        found = self.strings(are_texts=False)
        wanted = [parameter for parameter in found if parameter.is_required]
        if len(wanted) > 1:
            likeliest = sorted(self.reading.names(), key=self.reading.rank)[: len(wanted)]
            for parameter, span in zip(wanted, sorted(likeliest), strict=False):
                self.give_text(parameter, span)
        elif wanted or not any(parameter.is_required for parameter in self.tool.parameters):
            for parameter in (wanted or found)[:1]:
                self._one_name(parameter)

    def _one_name(self, parameter: Parameter) -> None:
        group = self.reading.group()
        first = next(
            (one for one in (*group, *self.reading.names()) if self.give_text(parameter, one)), None
        )
        for span in group if first in group else ():
            other = {parameter.name: self._said(span)}
            if span != first and self.tool.may_take({**self.args, **other}):
                self.others.append(other)
                self.reading.take(*span)
