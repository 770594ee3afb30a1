"""A tool's arguments, found in a question: none is invented, and the schema has the last word."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from myagent.models.offline.question import Question, Span
from myagent.models.offline.tools import Parameter, Tool

MAX_CALLS = 5
Found = Iterable[tuple[Any, ...]]
"""Possible values of a parameter, likeliest first, each with the places where it was found."""

_NO = re.compile(r"\b(?:false|no|not|off|without)\b|不|否|关", re.IGNORECASE)


class Form:
    """The arguments of a tool, as far as a text contains them."""

    def __init__(self, tool: Tool, text: str) -> None:
        self.tool = tool
        self.args: dict[str, Any] = {}
        self._group: list[str] = []
        self._question = question = Question(text, tool.own)
        # The strongest evidence first: text that is used for one parameter is not used for another.
        for kind, evidence in (
            ("choice", self._choices),
            ("number", self._numbers_by_name),
            ("number", lambda _: question.numbers()),
            ("option", self._options),
            ("text", lambda _: question.announced()),
            ("list", self._lists),
            ("name", self._names),
            ("text", lambda _: question.rest()),
        ):
            for parameter in self._open(kind):
                any(self._give(parameter, *found) for found in evidence(parameter))

    @property
    def missing(self) -> list[Parameter]:
        return [p for p in self.tool.parameters if p.is_required and p.name not in self.args]

    @cached_property
    def calls(self) -> list[dict[str, Any]]:
        """The arguments of each call; none if something is missing.

        Several names for a parameter that takes one lead to several calls.
        """
        named = [name for name, value in self.args.items() if value in self._group]
        others = [{name: value} for name in named for value in self._group]
        calls = [{**self.args, **other} for other in others or [{}]]
        return [args for args in calls if self.tool.accepts(args, is_complete=True)][:MAX_CALLS]

    def _open(self, kind: str) -> list[Parameter]:
        """The parameters of a kind that have no value yet, required ones first."""
        found = [p for p in self.tool.parameters if p.kind == kind and p.name not in self.args]
        return sorted(found, key=lambda parameter: not parameter.is_required)

    def _give(self, parameter: Parameter, value: Any, *spans: Span) -> bool:
        """Takes a value that stands at `spans`, unless the schema refuses it."""
        args = {**self.args, parameter.name: value}
        if not self.tool.accepts(args, is_complete=False):
            return False
        self.args = args
        for span in spans:
            self._question.take(span)
        return True

    def _choices(self, parameter: Parameter) -> Found:
        found = ((value, self._question.find(str(value))) for value in parameter.choices)
        return sorted(((value, span) for value, span in found if span), key=lambda one: one[1])

    def _numbers_by_name(self, parameter: Parameter) -> Found:
        place = self._question.find(parameter.name)
        numbers = self._question.numbers() if place else []
        return sorted(numbers, key=lambda one: abs(one[1][0] - place[0]) if place else 0)

    def _options(self, parameter: Parameter) -> Found:
        """An option that is named is set to true, unless the question contains a 'no'."""
        is_no = _NO.search(self._question.text) is not None
        if self._question.find(parameter.name) or (is_no and parameter.is_required):
            yield (not is_no,)

    def _lists(self, parameter: Parameter) -> Found:
        """The choices that are named, all numbers that are left, or the names that are joined."""
        question = self._question
        for found in (self._choices(parameter), question.numbers(), question.group()):
            if found:
                yield [value for value, _ in found], *(span for _, span in found)

    def _names(self, parameter: Parameter) -> Found:
        """As many of the likeliest names as needed, in their order; for a single one, a group."""
        names, wanted = self._question.names(), sum(one.kind == "name" for one in self.missing)
        if wanted > 1:
            return sorted(names[:wanted], key=lambda name: name[1])
        is_optional = any(one.is_required for one in self.tool.parameters) or self._group
        if is_optional and not parameter.is_required:
            return []
        group = self._question.group()
        self._group = self._group or [name for name, _ in group]
        return group + names
