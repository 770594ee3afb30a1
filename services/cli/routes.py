"""The verbs of `services routes`: list, add, remove, explain."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.utils.translation import gettext, gettext_noop

from services.cli.screen import Screen, as_json
from services.models import RoutingRule
from services.routing import asking, rulebook
from services.routing.rules import Facts
from services.routing.wording import parsed
from services.views.rules import conditions_in_words, rule_json

Options = dict[str, Any]

COLUMNS = (
    gettext_noop("name"),
    gettext_noop("priority"),
    gettext_noop("enabled"),
    gettext_noop("conditions"),
    gettext_noop("strategy"),
    gettext_noop("services"),
    gettext_noop("tags"),
    gettext_noop("fallback"),
)

CANDIDATE_COLUMNS = (
    gettext_noop("candidate"),
    gettext_noop("weight"),
    gettext_noop("connections"),
    gettext_noop("healthy"),
)

REJECTED_COLUMNS = (gettext_noop("rejected"), gettext_noop("why"))

GIVEN = ("description", "priority", "weight")


def carry_out(screen: Screen, options: Options) -> None:
    _VERBS[options["routes_verb"]](screen, options)


def _list(screen: Screen, options: Options) -> None:
    rules, known = RoutingRule.objects.all(), rulebook.registered()
    if options["json"]:
        screen.say(as_json([rule_json(rule, known) for rule in rules]))
        return
    screen.table(COLUMNS, map(_row, rules))


def _row(rule: RoutingRule) -> tuple[object, ...]:
    return (
        rule.name,
        rule.priority,
        rule.enabled,
        conditions_in_words(rule, ", "),
        rule.target_strategy,
        rule.target_services,
        rule.target_tags,
        rule.fallback_strategy,
    )


def _add(screen: Screen, options: Options) -> None:
    fields = {name: options[name] for name in GIVEN if options[name] is not None}
    rule = rulebook.add(
        name=options["name"],
        enabled=not options["disabled"],
        conditions=[parsed(line) for line in options["when"]],
        target_services=options["to"] or [],
        target_tags=options["tags"] or [],
        target_strategy=options["strategy"] or "round_robin",
        fallback_strategy=options["fallback"] or "",
        **fields,
    )
    screen.say(gettext("The rule {name} is added ({id}).").format(name=rule.name, id=rule.pk))
    for warning in rulebook.warnings_about(rule, rulebook.registered()):
        screen.say(gettext("Warning: {warning}").format(warning=warning))


def _remove(screen: Screen, options: Options) -> None:
    rule = rulebook.find(options["name"])
    rulebook.remove(rule)
    screen.say(gettext("The rule {name} is removed.").format(name=rule.name))


def _explain(screen: Screen, options: Options) -> None:
    query: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in options["query"]:
        query[name].append(value)
    tags = {"tags": options["tags"]} if options["tags"] else {}
    found = asking.explain(
        Facts(
            client_ip=options["client_ip"],
            user_agent=options["user_agent"],
            path=options["path"],
            user=options["user"],
            headers={name.lower(): value for name, value in options["header"]},
            query=query,
            metadata=dict(options["metadata"]) | tags,
        )
    )
    if options["json"]:
        screen.say(as_json(found))
        return
    screen.facts((name, found[name]) for name in ("rule", "strategy", "chosen"))
    if found["candidates"]:
        screen.say("")
        screen.table(CANDIDATE_COLUMNS, (tuple(each.values()) for each in found["candidates"]))
    if found["rejected"]:
        screen.say("")
        screen.table(REJECTED_COLUMNS, (tuple(each.values()) for each in found["rejected"]))


_VERBS = {"list": _list, "add": _add, "remove": _remove, "explain": _explain}
