"""Decides which service a client that named none is sent to. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.routing import strategies
from services.routing.conditions import holds
from services.routing.rules import Candidate, Condition, Facts, Rule, Strategy
from services.routing.strategies import Turns

BY_TAGS = Rule(rule_id="", name="")
"""Stands for a rule where the client's own tags select: services with all of them take turns."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A rule that did not decide. `condition`: the first that did not hold; None: all held."""

    rule: Rule
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`chosen`: None if the client has to name a service.

    `rule`: None where none decided; then `strategy` is None as well, unless the client's tags
    selected. `candidates`: those among which `chosen` was chosen.
    """

    chosen: Candidate | None
    rule: Rule | None = None
    strategy: Strategy | None = None
    candidates: tuple[Candidate, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def in_order(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules as `decide` takes them."""
    return tuple(sorted(rules, key=lambda rule: (rule.priority, -rule.weight, rule.name)))


def decide(
    rules: Sequence[Rule], running: Sequence[Candidate], facts: Facts, turns: Turns
) -> Decision:
    """`rules` are in order; `running`: the services that could take the client.

    The first rule decides whose conditions all hold and that has a candidate: by its strategy, or,
    if that can't decide, by its fallback. A rule without a candidate, if it has a fallback, chooses
    by it among all running services; else the next rule is asked. Without a rule that decides, the
    client's tags select, and then the only running service.
    """
    skipped: list[Skipped] = []
    for rule in rules:
        failing = next((each for each in rule.conditions if not holds(each, facts)), None)
        if failing is not None:
            skipped.append(Skipped(rule, failing))
            continue
        for strategy, among in _attempts(rule, running):
            chosen = strategies.choose(strategy, rule, among, facts, turns)
            if chosen is not None:
                return Decision(chosen, rule, strategy, tuple(among), tuple(skipped))
        skipped.append(Skipped(rule))
    return _by_default(running, facts, turns, tuple(skipped))


def _attempts(
    rule: Rule, running: Sequence[Candidate]
) -> Iterator[tuple[Strategy, Sequence[Candidate]]]:
    own = healthy([each for each in running if is_meant(rule, each)])
    if own:
        yield rule.strategy, own
    among = own or healthy(running)
    if rule.fallback_strategy is not None and among:
        yield rule.fallback_strategy, among


def is_meant(rule: Rule, candidate: Candidate) -> bool:
    """Whether the rule may choose it."""
    is_named = not rule.services or candidate.name in rule.services
    return is_named and rule.tags <= candidate.tags


def healthy(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Those that are healthy; all of them if none is: the last one stays in use."""
    return [each for each in candidates if each.is_healthy] or candidates


def _by_default(
    running: Sequence[Candidate], facts: Facts, turns: Turns, skipped: tuple[Skipped, ...]
) -> Decision:
    asked = strategies.tags_asked_for(facts)
    tagged = healthy([each for each in running if asked and asked <= each.tags])
    if tagged:
        strategy = Strategy.ROUND_ROBIN
        chosen = strategies.choose(strategy, BY_TAGS, tagged, facts, turns)
        return Decision(chosen, None, strategy, tuple(tagged), skipped)
    only = running[0] if len(running) == 1 else None
    return Decision(only, candidates=tuple(running), skipped=skipped)
