"""Adds, changes and removes rules: called by every interface. Synchronous.

What is refused raises `services.errors.ServiceError`. Every change is announced, so that servers
follow it at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext, gettext_noop

from agents.runtime.ids import new_id
from services import doorbell
from services.errors import Conflict, ServiceError, UnknownRule
from services.fields import MAX_NAME
from services.models import RoutingRule, Service
from services.routing.rule_fields import checked
from services.routing.rules import Condition, Operator
from services.routing.stored import UNREADABLE, conditions_of

MAX_RULES = 200

SINGLE = ("client_ip", "user_agent", "path", "user", "header.")
"""Fields, and beginnings of fields, that have one value at most."""


def find(name_or_id: str) -> RoutingRule:
    """The rule of that id or name. Raises `UnknownRule`."""
    # Unprintable text, such as a lone surrogate, can't always be used in a query.
    if name_or_id.isprintable():
        # MySQL compares without regard to case.
        found = RoutingRule.objects.filter(Q(pk=name_or_id) | Q(name=name_or_id))
        for rule in sorted(found, key=lambda rule: rule.pk != name_or_id):
            if name_or_id in (rule.pk, rule.name):
                return rule
    raise _unknown(name_or_id)


def add(**fields: Any) -> RoutingRule:
    """Adds a rule. `fields`: of `rule_fields.RULE`, with `name` at least."""
    rule = RoutingRule(id=new_id(), **checked(fields))
    with transaction.atomic():
        if RoutingRule.objects.count() >= MAX_RULES:
            raise Conflict("too_many_rules", gettext_noop("There are 200 rules already."))
        _insert(rule)
        _announce()
    return rule


def change(rule: RoutingRule, **fields: Any) -> RoutingRule:
    """Sets the given fields; the rule, read again. Raises `UnknownRule` if it is gone."""
    cleaned = checked(fields)
    try:
        with transaction.atomic():
            row = RoutingRule.objects.filter(pk=rule.pk)
            if not row.update(**cleaned, updated_at=Now()):
                raise _unknown(rule.name)
            _announce()
    except IntegrityError as error:
        raise _name_is_taken(str(cleaned.get("name"))) from error
    rule.refresh_from_db()
    return rule


def remove(rule: RoutingRule) -> None:
    """May be called twice."""
    with transaction.atomic():
        RoutingRule.objects.filter(pk=rule.pk).delete()
        _announce()


def _insert(rule: RoutingRule) -> None:
    try:
        with transaction.atomic():
            rule.save(force_insert=True)
    except IntegrityError as error:
        raise _name_is_taken(rule.name) from error


def _announce() -> None:
    """Makes servers read the rules again, at the same moment as the rules change.

    They look at the services' counts of changes alone, so one of these counts this change too.
    Without a service there is nothing that a rule could choose.
    """
    while (first := Service.objects.order_by("pk").first()) is not None:
        # It may have been unregistered between the two statements.
        if doorbell.change(Service.objects.filter(pk=first.pk)):
            return


Registered = Mapping[str, Collection[str]]
"""The tags of each registered service, by name."""


def registered() -> Registered:
    services = Service.objects.filter(unregistered_at__isnull=True)
    return dict(services.values_list("name", "tags"))


def warnings_about(rule: RoutingRule, known: Registered) -> list[str]:
    """Why the rule can't have an effect as things are, in the active language."""
    try:
        conditions = conditions_of(rule)
    except UNREADABLE:
        return [gettext("It does not apply: another version of the site has stored it.")]
    return [*_without_a_service(rule, known), *_contradictions(conditions)]


def _without_a_service(rule: RoutingRule, known: Registered) -> Iterator[str]:
    missing = [name for name in rule.target_services if name not in known]
    if missing:
        sentence = gettext("The rule names services that are not registered: {names}.")
        yield sentence.format(names=", ".join(missing))
    meant = [its for name, its in known.items() if name in (rule.target_services or known)]
    tags = set(rule.target_tags)
    if tags and meant and not any(tags <= set(its) for its in meant):
        sentence = gettext("None of its services has all of the tags {tags}.")
        yield sentence.format(tags=", ".join(sorted(tags)))


def _contradictions(conditions: tuple[Condition, ...]) -> Iterator[str]:
    """Conditions of one field that can't hold together."""
    by_field: dict[str, list[Condition]] = {}
    for condition in conditions:
        by_field.setdefault(condition.field.lower(), []).append(condition)
    for field, several in by_field.items():
        equal = {
            str(each.value) if each.case_sensitive else str(each.value).casefold()
            for each in several
            if each.operator is Operator.EQUALS
        }
        folded = {value.casefold() for value in equal}
        wants_absence = any(each.operator is Operator.EXISTS and not each.value for each in several)
        needs_value = any(_needs_a_value(each) for each in several)
        if (len(folded) > 1 and field.startswith(SINGLE)) or (wants_absence and needs_value):
            yield gettext("Its conditions on {field} can't hold together.").format(field=field)


def _needs_a_value(condition: Condition) -> bool:
    if condition.operator is Operator.EXISTS:
        return bool(condition.value)
    return not condition.operator.value.startswith("not_")


def _unknown(name: str) -> ServiceError:
    return UnknownRule(
        "unknown_rule", gettext_noop("There is no routing rule '{name}'."), name=name[:MAX_NAME]
    )


def _name_is_taken(name: str) -> Conflict:
    return Conflict(
        "name_taken",
        gettext_noop("There is a rule '{name}' already; choose another name."),
        field="name",
        name=name,
    )
