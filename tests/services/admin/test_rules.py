"""Routing rules in the admin: the form calls the verbs, and warnings are shown."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from services.models import RoutingRule
from services.routing import rulebook
from tests.services import rows

from .conftest import Person

pytestmark = pytest.mark.django_db(transaction=True)

RULES = "/admin/services/routingrule/"


def form(name: str = "vip", **fields: str) -> dict[str, str]:
    defaults = {"priority": "100", "weight": "1", "enabled": "on", "target_strategy": "round_robin"}
    return defaults | {"name": name} | fields


def test_a_rule_is_added_and_changed_as_it_was_typed(chief: Client) -> None:
    rows.service("one", tags=["eu"])
    typed = form(
        conditions="user_agent contains/i VIP\n\nclient_ip cidr 10.0.0.0/8",
        target_services="one",
        target_tags="eu",
        fallback_strategy="manual",
    )
    assert chief.post(f"{RULES}add/", typed).status_code == 302
    rule = RoutingRule.objects.get()
    assert [each["operator"] for each in rule.conditions] == ["contains", "cidr"]
    assert (rule.target_services, rule.target_tags) == (["one"], ["eu"])
    page = chief.get(f"{RULES}{rule.pk}/change/").content.decode()
    assert "user_agent contains/i VIP\nclient_ip cidr 10.0.0.0/8" in page
    chief.post(f"{RULES}{rule.pk}/change/", typed | {"name": "all", "conditions": ""})
    rule.refresh_from_db()
    assert (rule.name, rule.conditions, rule.fallback_strategy) == ("all", [], "manual")


def test_what_makes_no_rule_is_told_beside_the_field(chief: Client) -> None:
    rulebook.add(name="vip")
    for fields, field in (
        ({"conditions": "colour equals red"}, "conditions"),
        ({"target_services": "no/name"}, "target_services"),
        ({}, "name"),
    ):
        answer: Any = chief.post(f"{RULES}add/", form(**fields))
        assert list(answer.context["adminform"].form.errors) == [field]
    assert RoutingRule.objects.count() == 1


def test_a_rule_that_can_have_no_effect_is_warned_about(chief: Client) -> None:
    said = "The rule names services that are not registered: nobody."
    answer = chief.post(f"{RULES}add/", form(target_services="nobody"), follow=True)
    assert next(map(str, answer.context["messages"])) == said
    assert said in chief.get(RULES).content.decode()


def test_rules_are_removed_one_or_several_at_once(chief: Client) -> None:
    rules = [rulebook.add(name=name) for name in "abc"]
    chief.post(f"{RULES}{rules[0].pk}/delete/", {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": [r.pk for r in rules[1:]]}
    chief.post(RULES, chosen | {"post": "yes"})
    assert not RoutingRule.objects.exists()


def test_the_list_asks_for_the_services_once(
    chief: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        rulebook.add(name=f"rule {number}", target_services=["nobody"])
    with django_assert_max_num_queries(10):
        chief.get(RULES)


def test_who_may_only_look_can_not_change_anything(person: Person) -> None:
    rule = rulebook.add(name="vip")
    viewer = person("view_routingrule")
    assert viewer.get(f"{RULES}{rule.pk}/change/").status_code == 200
    assert viewer.post(f"{RULES}{rule.pk}/change/", form("other")).status_code == 403
    assert viewer.get(f"{RULES}add/").status_code == 403
