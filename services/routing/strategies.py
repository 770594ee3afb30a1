"""How one of several candidates is chosen. No I/O.

A strategy returns None if it can't decide: then the rule's `fallback_strategy` is asked.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from agents.rendezvous import place_of
from services.routing.rules import Candidate, Facts, Rule, Strategy


class Turns:
    """What strategies remember between two choices, in one server."""

    def __init__(self, seed: int | None = None) -> None:
        self.random = random.Random(seed)
        self._last: dict[str, str] = {}
        """The name that was chosen last, by rule."""

    def copy(self) -> Turns:
        """For a choice that is not to count."""
        other = Turns()
        other.random.setstate(self.random.getstate())
        other._last = dict(self._last)
        return other

    def next(self, rule_id: str, names: Sequence[str]) -> str:
        """The name after the last one, in alphabetical order; each has its turn."""
        ordered, last = sorted(names), self._last.get(rule_id, "")
        chosen = next((name for name in ordered if name > last), ordered[0])
        self._last[rule_id] = chosen
        return chosen

    def forget(self, rule_ids: set[str]) -> None:
        """Keeps only these rules' turns."""
        self._last = {rule: name for rule, name in self._last.items() if rule in rule_ids}


def choose(
    strategy: Strategy, rule: Rule, candidates: Sequence[Candidate], facts: Facts, turns: Turns
) -> Candidate | None:
    """One of the candidates, of which there is at least one."""
    name = _STRATEGIES[strategy](rule, candidates, facts, turns)
    return next((each for each in candidates if each.name == name), None)


def _round_robin(
    rule: Rule, candidates: Sequence[Candidate], facts: Facts, turns: Turns
) -> str | None:
    return turns.next(rule.rule_id, [each.name for each in candidates])


def _least_connections(
    rule: Rule, candidates: Sequence[Candidate], facts: Facts, turns: Turns
) -> str | None:
    least = min(each.connections for each in candidates)
    return turns.next(rule.rule_id, [each.name for each in candidates if each.connections == least])


def _weighted_random(
    rule: Rule, candidates: Sequence[Candidate], facts: Facts, turns: Turns
) -> str | None:
    weights = [each.weight for each in candidates]
    # If all of them are 0, they share alike.
    chosen = turns.random.choices(candidates, weights if any(weights) else None)
    return chosen[0].name


def _hash_based(
    rule: Rule, candidates: Sequence[Candidate], facts: Facts, turns: Turns
) -> str | None:
    if not facts.client_ip:
        return None
    return place_of(facts.client_ip, (each.name for each in candidates))


def _tag_based(
    rule: Rule, candidates: Sequence[Candidate], facts: Facts, turns: Turns
) -> str | None:
    asked = tags_asked_for(facts)
    shared = [len(each.tags & asked) for each in candidates]
    most = max(shared)
    if not most:
        return None
    best = [each.name for each, count in zip(candidates, shared, strict=True) if count == most]
    return turns.next(rule.rule_id, best)


def tags_asked_for(facts: Facts) -> frozenset[str]:
    """The tags in the client's metadata."""
    tags = facts.metadata.get("tags")
    texts = tags if isinstance(tags, list | tuple) else ()
    return frozenset(tag for tag in texts if isinstance(tag, str))


def _manual(rule: Rule, candidates: Sequence[Candidate], facts: Facts, turns: Turns) -> str | None:
    """In the order in which the rule names them: the next one only while those before are away."""
    usable = {each.name for each in candidates}
    return next((name for name in rule.services if name in usable), None)


_STRATEGIES: dict[Strategy, Callable[[Rule, Sequence[Candidate], Facts, Turns], str | None]] = {
    Strategy.ROUND_ROBIN: _round_robin,
    Strategy.LEAST_CONNECTIONS: _least_connections,
    Strategy.WEIGHTED_RANDOM: _weighted_random,
    Strategy.HASH_BASED: _hash_based,
    Strategy.TAG_BASED: _tag_based,
    Strategy.MANUAL: _manual,
}
