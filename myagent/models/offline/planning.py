"""What to do about a question: which tools to call with what, or what to ask back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from myagent.models.offline.blanks import MAX_VARIANTS
from myagent.models.offline.filling import Filled, fill
from myagent.models.offline.matching import Match, rank
from myagent.models.offline.parameters import Parameter
from myagent.models.offline.study import Tool
from myagent.models.offline.words import LATIN_WORD, meanings, terms

MAX_CALLS = 5
MAX_CLAUSES = 12
MAX_QUESTION = 2000
"""Characters of a question that are read; what comes after is beyond a demo."""

_CLAUSE = re.compile(
    r"[;；。!！?？\n]|[.](?=\s|$)|[,，、]|\b(?:and|then|also|plus)\b|和|与|以及|还有|并且|然后|再",
    re.IGNORECASE,
)
_FOLLOW_UP = re.compile(
    r"^\s*(?:and|also|what about|how about|now|then|same for|again for|for)\b"
    r"|^\s*(?:那么?|还有|换成|再)|呢\s*[?？]?\s*$",
    re.IGNORECASE,
)
_POINTING = re.compile(
    r"\b(?:there|it|that|this|same|he|she|they|its|his|her|their)\b|那[里儿边]|它|同样", re.I
)


@dataclass(frozen=True, slots=True)
class Call:
    tool: str
    args: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Calls:
    """Call these tools, all at once."""

    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class AskFor:
    """The tool fits, but the question lacks what it needs."""

    tool: Tool
    missing: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class NothingFits:
    """No tool fits the question."""


Plan = Calls | AskFor | NothingFits


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier question and the calls that it led to."""

    question: str
    calls: tuple[Call, ...]


def plan(question: str, earlier: Sequence[Exchange], tools: Sequence[Tool]) -> Plan:
    """Looks at the question first, then at what was said before it."""
    question = question[:MAX_QUESTION]
    direct = plan_alone(question, tools)
    if isinstance(direct, Calls) or not earlier:
        return direct
    last = earlier[-1]
    if not last.calls and len(question) <= 200:
        pending = plan_alone(last.question[:MAX_QUESTION], tools)
        if isinstance(pending, AskFor):
            supplied = _supply(pending, last.question, question)
            if supplied is not None:
                return supplied
    called = next((exchange.calls for exchange in reversed(earlier) if exchange.calls), ())
    if isinstance(direct, AskFor):
        return _with_known(direct, question, called)
    return _follow_up(question, called, tools) or direct


def plan_alone(question: str, tools: Sequence[Tool]) -> Plan:
    """The plan for a question that nothing came before."""
    matches = rank(question, tools)
    if not matches:
        return NothingFits()
    together = _asked_together(question, matches[0].tool, tools)
    if len(together) > 1:
        return Calls(tuple(together[:MAX_CALLS]))
    match, filled = _likeliest(question, matches)
    if filled.missing:
        is_meant = match.is_literal or match.is_named
        return AskFor(match.tool, filled.missing) if is_meant else NothingFits()
    return Calls(tuple(Call(match.tool.name, args) for args in filled.variants))


def _likeliest(question: str, matches: Sequence[Match]) -> tuple[Match, Filled]:
    """The best match; among near equals the one that the question has most values for."""
    near = [match for match in matches[:MAX_CALLS] if match.score >= 0.9 * matches[0].score]
    attempts = [(match, fill(question, match.tool)) for match in near]
    return max(attempts, key=lambda one: (not one[1].missing, len(one[1].variants[0])))


def _asked_together(question: str, best: Tool, tools: Sequence[Tool]) -> list[Call]:
    """Calls of different tools, when each has a clause that names what only it is for."""
    clauses = [clause for clause in _CLAUSE.split(question)[:MAX_CLAUSES] if clause.strip()]
    if len(tools) < 2 or len(clauses) < 2:
        return []
    chosen: dict[str, tuple[Tool, str]] = {}
    for clause in clauses:
        for match in rank(clause, tools)[:1]:
            said = {*terms(clause), *meanings(clause)} & match.tool.topics
            if match.tool is best or said - best.weights.keys() - best.meanings.keys():
                chosen.setdefault(match.tool.name, (match.tool, clause))
    if best.name not in chosen or len(chosen) < 2:
        return []
    calls: list[Call] = []
    for tool, clause in chosen.values():
        others = [other for other, _ in chosen.values() if other is not tool]
        filled = fill(clause, tool, others)
        if any(parameter.type == "array" for parameter in filled.missing):
            return []  # what looked like two clauses was one list
        if filled.missing or not filled.variants[0]:
            filled = fill(question, tool, others)
        if filled.missing:
            return []
        calls += [Call(tool.name, args) for args in filled.variants]
    return calls


def _supply(asked: AskFor, before: str, now: str) -> Calls | None:
    """The answer to our own question back."""
    filled = fill(f"{before[:MAX_QUESTION]}\n{now}", asked.tool)
    if filled.missing and len(asked.missing) == 1 and asked.missing[0].type == "string":
        value = now.strip(" .。!！\"'“”")
        filled.variants[0][asked.missing[0].name] = value
        is_value = bool(value) and len(value) <= 60 and not now.rstrip().endswith(("?", "？"))
        filled.missing = () if is_value else filled.missing
    if filled.missing:
        return None
    return Calls(tuple(Call(asked.tool.name, args) for args in filled.variants))


def _with_known(asked: AskFor, question: str, called: Sequence[Call]) -> Plan:
    """'And the time there?' – values of the same name are known from the last calls."""
    known = {name: value for call in called for name, value in call.args.items()}
    points_back = _POINTING.search(question) or _FOLLOW_UP.search(question)
    if not points_back or any(parameter.name not in known for parameter in asked.missing):
        return asked
    args = fill(question, asked.tool).variants[0]
    args |= {parameter.name: known[parameter.name] for parameter in asked.missing}
    return Calls((Call(asked.tool.name, args),))


def _follow_up(question: str, called: Sequence[Call], tools: Sequence[Tool]) -> Calls | None:
    """'And Shanghai?' – the last tool again with what has changed."""
    tool = next((tool for tool in tools if called and tool.name == called[-1].tool), None)
    is_short = len(LATIN_WORD.findall(question)) <= 8 and len(question) <= 80
    if tool is None or not is_short or not _FOLLOW_UP.search(question):
        return None
    filled = fill(question, tool)
    if not filled.variants[0]:
        return None
    calls = [Call(tool.name, {**called[-1].args, **args}) for args in filled.variants]
    required = {parameter.name for parameter in tool.required}
    if any(not required <= call.args.keys() for call in calls):
        return None
    return Calls(tuple(calls[:MAX_VARIANTS]))
