"""What to do about a question: which tools to call with what, or what to ask back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from myagent.models.offline.filling import MAX_CALLS, fill
from myagent.models.offline.reading import QUOTED, TEXT_MARK
from myagent.models.offline.tools import Parameter, Tool, rank
from myagent.models.offline.words import terms

MAX_QUESTION = 2000
"""Characters of a question that are read; what comes after is beyond a demo."""

_CLAUSE = re.compile(
    r"[,;，；。!！?？、\n]|[.](?=\s|$)|\b(?:and|then|also)\b|和|与|以及|还有|并且|然后|再", re.I
)
_FOLLOW_UP = re.compile(r"\s*(?:and|also|(?:what|how) about)\b|\s*(?:那|还有)|.*呢\s*[?？]?$", re.I)


@dataclass(frozen=True, slots=True)
class Call:
    tool: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AskFor:
    """The tool fits, but the question lacks what it needs."""

    tool: Tool
    missing: tuple[Parameter, ...]


Plan = list[Call] | AskFor | None
"""Tools to call at once, something to ask back, or None where no tool fits."""


def plan(question: str, pending: str, last: Call | None, tools: Sequence[Tool]) -> Plan:
    """Looks at the question first, then at what was said before it.

    `pending` is what was said since the `last` call, and led to none.
    """
    question, pending = question[:MAX_QUESTION], pending[-MAX_QUESTION:]
    known = last.args if last else {}
    ranked, asked_for = rank(question, tools), rank(pending, tools)[:1]
    if asked_for and ranked[:1] in ([], asked_for) and not question.rstrip().endswith(("?", "？")):
        return _plan_one(asked_for[0], f"{pending}\n{question}", known)
    if ranked:
        return _plan_several(question, ranked[0], tools) or _plan_one(ranked[0], question, known)
    again = [tool for tool in tools if last and tool.name == last.tool]
    if again and _FOLLOW_UP.match(question) and fill(question, again[0]).has_found:
        return _plan_one(again[0], question, known)
    return None


def _plan_one(tool: Tool, question: str, known: Mapping[str, Any]) -> Plan:
    filled = fill(question, tool, known)
    if not filled.variants:
        return AskFor(tool, filled.missing or tool.parameters)
    return [Call(tool.name, args) for args in filled.variants]


def _plan_several(question: str, best: Tool, tools: Sequence[Tool]) -> list[Call] | None:
    """Calls of different tools, when each has a clause with a word that is not the best one's."""
    chosen: dict[str, tuple[Tool, str]] = {}
    # What is quoted or announced is one text.
    for clause in _CLAUSE.split(QUOTED.sub("", TEXT_MARK.split(question)[0])):
        for tool in rank(clause, tools)[:1]:
            if tool is best or terms(clause) & tool.weights.keys() - best.weights.keys():
                chosen.setdefault(tool.name, (tool, clause))
    if best.name not in chosen or len(chosen) < 2:
        return None
    calls: list[Call] = []
    beside = [tool for tool, _ in chosen.values()]
    for tool, clause in chosen.values():
        filled = fill(clause, tool, beside=beside)
        if any(parameter.kind == "array" for parameter in filled.missing):
            return None  # what looked like clauses was one list
        if not filled.variants:
            filled = fill(question, tool, beside=beside)
        if not filled.variants:
            return None
        calls += [Call(tool.name, args) for args in filled.variants]
    return calls[:MAX_CALLS]
