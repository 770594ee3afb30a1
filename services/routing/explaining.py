"""Tells why a client would be sent to a service. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext

from services.routing.conditions import holds, values_of
from services.routing.deciding import Decision, Skipped, decide, in_order, is_meant
from services.routing.rules import Candidate, Condition, Facts, Rule
from services.routing.strategies import Turns
from services.routing.wording import written

Json = dict[str, Any]

MOST_SHOWN = 100
"""Characters of a client's value that are repeated."""


def explain(
    rules: Sequence[Rule],
    running: Sequence[Candidate],
    others: Mapping[str, str],
    facts: Facts,
    turns: Turns,
    *,
    disabled: Sequence[Rule] = (),
) -> Json:
    """The decision about these facts: rule, strategy, candidates, rejected, chosen; in the active
    language.

    `others`: the status of each service that can't take anybody, by name. `turns` do not change, so
    where clients take turns, or chance decides, the next one may be sent elsewhere. Of the
    `disabled` rules those are told of that would apply to these facts.
    """
    decision = decide(rules, running, facts, turns.copy())
    rejected = [
        *(_skipped(each, running, facts) for each in decision.skipped),
        *(
            {"rule": each.name, "why": _is_disabled(each, rules, running, facts, turns)}
            for each in disabled
            if all(holds(condition, facts) for condition in each.conditions)
        ),
        *_passed_over(decision, running),
        *({"service": name, "why": _is_down(name, status)} for name, status in others.items()),
    ]
    return {
        "rule": decision.rule and decision.rule.name,
        "strategy": decision.strategy and decision.strategy.value,
        "candidates": [_candidate(each) for each in decision.candidates],
        "rejected": rejected,
        "chosen": decision.chosen and decision.chosen.name,
    }


def _candidate(candidate: Candidate) -> Json:
    return {
        "service": candidate.name,
        "weight": candidate.weight,
        "connections": candidate.connections,
        "healthy": candidate.is_healthy,
    }


def _skipped(skipped: Skipped, running: Sequence[Candidate], facts: Facts) -> Json:
    rule, condition = skipped.rule, skipped.condition
    if condition is not None:
        why = _does_not_hold(condition, facts)
    elif any(is_meant(rule, each) for each in running):
        why = gettext("Its strategy can't decide, and it has no fallback that can.")
    else:
        why = gettext("None of its services is running.")
    return {"rule": rule.name, "why": why}


def _does_not_hold(condition: Condition, facts: Facts) -> str:
    found = values_of(condition.field, facts)
    if not found:
        sentence = gettext("'{condition}' does not hold: the client has no {field}.")
        return sentence.format(condition=written(condition), field=condition.field)
    shown = ", ".join(found)
    shown = f"{shown[:MOST_SHOWN]}…" if len(shown) > MOST_SHOWN else shown
    sentence = gettext("'{condition}' does not hold: it is '{value}'.")
    return sentence.format(condition=written(condition), value=shown)


def _is_disabled(
    rule: Rule, rules: Sequence[Rule], running: Sequence[Candidate], facts: Facts, turns: Turns
) -> str:
    with_it = decide(in_order([*rules, rule]), running, facts, turns.copy())
    if with_it.rule is rule:
        return gettext("It is disabled: if it were enabled, it would decide.")
    return gettext("It is disabled; all of its conditions hold.")


def _passed_over(decision: Decision, running: Sequence[Candidate]) -> Iterator[Json]:
    """The running services that were no candidates."""
    for each in running:
        if each in decision.candidates:
            continue
        yield {"service": each.name, "why": _why_not(decision.rule, each)}


def _why_not(rule: Rule | None, candidate: Candidate) -> str:
    if rule is not None and not is_meant(rule, candidate):
        if rule.services and candidate.name not in rule.services:
            return gettext("The rule '{rule}' does not name it.").format(rule=rule.name)
        missing = ", ".join(sorted(rule.tags - candidate.tags))
        return gettext("It lacks tags: {tags}.").format(tags=missing)
    if not candidate.is_healthy:
        return gettext("It is unhealthy, and another one is not.")
    return gettext("It lacks a tag that the client asks for.")


def _is_down(name: str, status: str) -> str:
    return gettext("It does not run: {status}.").format(status=status)
