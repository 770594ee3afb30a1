"""Which tool fits a question: shared words, rarer ones weigh more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from myagent.models.offline.study import NAME_WEIGHT, Tool
from myagent.models.offline.words import meanings, name_words, terms

MENTION = 12.0
MEANING_SHARE = 0.6
ENOUGH = 0.35


@dataclass(frozen=True, slots=True)
class Match:
    """How well a tool fits. `is_named`: all the topic words of its name are in the text.

    `is_literal`: a word of the tool itself was said, not just one of like meaning.
    """

    tool: Tool
    score: float
    is_literal: bool
    is_named: bool


def rank(text: str, tools: Sequence[Tool]) -> list[Match]:
    """The tools that fit, best first; among equals the one with less else to its name."""
    said = _said(text, tools)
    matches = [_match(tool, said, text) for tool in tools]
    found = [match for match in matches if match.score >= ENOUGH]
    return sorted(found, key=lambda match: (-round(match.score, 6), match.tool.breadth))


@dataclass(frozen=True, slots=True)
class _Said:
    """What the text says, each term and meaning with its rarity among the tools."""

    terms: dict[str, float]
    meanings: dict[str, float]
    phrase: str


def _said(text: str, tools: Sequence[Tool]) -> _Said:
    def rarity(holders: int) -> float:
        """Inverse document frequency, never zero: one tool alone counts too."""
        return math.log(1.0 + len(tools) / holders) if holders else 0.0

    return _Said(
        {
            term: rarity(sum(term in t.weights for t in tools))
            for term in dict.fromkeys(terms(text))
        },
        {one: rarity(sum(one in t.meanings for t in tools)) for one in sorted(meanings(text))},
        f" {' '.join(name_words(text))} ",
    )


def _match(tool: Tool, said: _Said, text: str) -> Match:
    literal = sum(tool.weights.get(term, 0.0) * much for term, much in said.terms.items())
    meant = sum(tool.meanings.get(one, 0.0) * much for one, much in said.meanings.items())
    mention = MENTION if _is_mentioned(tool, said.phrase, text) else 0.0
    topic = tool.name_terms
    covered = sum(term in said.terms for term in topic) / len(topic) if topic else 0.0
    named = {one for one, weight in tool.meanings.items() if weight == NAME_WEIGHT}
    return Match(
        tool=tool,
        score=literal + MEANING_SHARE * meant + mention + 0.5 * covered,
        is_literal=literal + mention >= ENOUGH,
        is_named=mention > 0 or covered == 1.0 or (bool(named) and named <= said.meanings.keys()),
    )


def _is_mentioned(tool: Tool, phrase: str, text: str) -> bool:
    if len(tool.phrase) > 1 and f" {' '.join(tool.phrase)} " in phrase:
        return True
    return tool.name in text and (len(tool.phrase) > 1 or not tool.name.isascii())
