"""The verbs of `services routes`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext, gettext_noop

from services.cli.rule_arguments import NO_FALLBACK
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
    rule = rulebook.add(name=options["name"], enabled=not options["disabled"], **_given(options))
    screen.say(gettext("The rule {name} is added ({id}).").format(name=rule.name, id=rule.pk))
    _warn(screen, rule)


def _edit(screen: Screen, options: Options) -> None:
    changes = _given(options)
    if options["rename"] is not None:
        changes["name"] = options["rename"]
    if not changes:
        raise CommandError(gettext("Say what to change: --help lists the options."))
    _change(screen, options, gettext("The rule {name} is changed."), **changes)


def _enable(screen: Screen, options: Options) -> None:
    _change(screen, options, gettext("The rule {name} is enabled."), enabled=True)


def _disable(screen: Screen, options: Options) -> None:
    _change(screen, options, gettext("The rule {name} is disabled."), enabled=False)


def _change(screen: Screen, options: Options, sentence: str, **changes: Any) -> None:
    rule = rulebook.change(rulebook.find(options["name"]), **changes)
    screen.say(sentence.format(name=rule.name))
    _warn(screen, rule)


def _given(options: Options) -> Options:
    """The fields of a rule that options name."""
    fields = {
        "description": options["description"],
        "priority": options["priority"],
        "weight": options["weight"],
        "conditions": _conditions(options["when"]),
        "target_services": options["to"],
        "target_tags": options["tags"],
        "target_strategy": options["strategy"],
        "fallback_strategy": _fallback(options["fallback"]),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _conditions(lines: list[str] | None) -> list[Any] | None:
    return None if lines is None else [parsed(line) for line in lines if line.strip()]


def _fallback(strategy: str | None) -> str | None:
    return "" if strategy == NO_FALLBACK else strategy


def _warn(screen: Screen, rule: RoutingRule) -> None:
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


_VERBS = {
    "list": _list,
    "add": _add,
    "edit": _edit,
    "enable": _enable,
    "disable": _disable,
    "remove": _remove,
    "explain": _explain,
}
