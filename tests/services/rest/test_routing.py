"""Routing rules over REST: added, shown, changed, removed, and explained."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from services.models import RoutingRule, Service
from tests.services import rows

from .client import Client
from .conftest import StaffClient

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

RULES = "routing/rules"
VIP = {
    "name": "vip",
    "priority": 1,
    "conditions": [
        {"field": "user_agent", "operator": "contains", "value": "VIP", "case_sensitive": False}
    ],
    "target_strategy": "least_connections",
    "target_tags": ["premium"],
}


def test_a_rule_is_shown_as_it_was_added(client: Client) -> None:
    rows.service("one", tags=["premium"])
    answer = client.post(RULES, VIP)
    assert answer.status == 201
    shown = answer.json
    assert shown | VIP == shown
    assert (shown["weight"], shown["enabled"], shown["target_services"]) == (1, True, [])
    assert (shown["fallback_strategy"], shown["warnings"]) == (None, [])
    for where in (answer.headers["location"], f"{RULES}/vip", f"{RULES}/{shown['rule_id']}"):
        assert client.get(where).json == shown
    assert client.get(RULES).json == {"items": [shown], "total": 1, "limit": 50, "offset": 0}


def test_rules_are_listed_in_the_order_in_which_they_apply(client: Client) -> None:
    for name, priority, weight in (("c", 2, 1), ("b", 1, 1), ("a", 1, 2)):
        client.post(RULES, {"name": name, "priority": priority, "weight": weight})
    assert [each["name"] for each in client.get(RULES).json["items"]] == ["a", "b", "c"]
    page = client.get(f"{RULES}?limit=1&offset=1").json
    assert [each["name"] for each in page["items"]] == ["b"]


def test_a_change_leaves_the_rest_and_a_replacement_does_not(client: Client) -> None:
    client.post(RULES, VIP)
    changed = client.patch(f"{RULES}/vip", {"enabled": False, "fallback_strategy": "manual"}).json
    assert (changed["enabled"], changed["priority"]) == (False, 1)
    assert changed["fallback_strategy"] == "manual"
    replaced = client.put(f"{RULES}/vip", {"name": "all"}).json
    assert (replaced["name"], replaced["enabled"], replaced["priority"]) == ("all", True, 100)
    assert replaced["conditions"] == replaced["target_tags"] == []
    assert replaced["fallback_strategy"] is None


def test_a_removed_rule_is_gone(client: Client) -> None:
    client.post(RULES, VIP)
    assert client.delete(f"{RULES}/vip").status == 204
    answer = client.get(f"{RULES}/vip")
    assert (answer.status, answer.code) == (404, "unknown_rule")


def test_a_rule_that_can_have_no_effect_is_added_with_a_warning(client: Client) -> None:
    answer = client.post(RULES, {"name": "it", "target_services": ["none"]})
    assert answer.status == 201
    assert answer.json["warnings"] == ["The rule names services that are not registered: none."]


PLAIN = {"field": "user", "operator": "equals", "value": "ada"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"conditions": [PLAIN, PLAIN | {"field": "colour"}]}, "conditions.1"),
        ({"conditions": [PLAIN | {"operator": "regex_match", "value": "("}]}, "conditions.0"),
        ({"conditions": [PLAIN, PLAIN | {"operator": "?"}]}, "conditions.1.operator"),
        ({"conditions": "user equals ada"}, "conditions"),
        ({"priority": "1"}, "priority"),
        ({"target_strategy": "by_mood"}, "target_strategy"),
        ({"tags": ["x"]}, "tags"),
    ],
)
def test_what_makes_no_rule_is_refused(client: Client, fields: dict[str, Any], field: str) -> None:
    answer = client.post(RULES, {"name": "it"} | fields)
    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.json["field"] == field
    assert not RoutingRule.objects.exists()


def test_a_name_is_taken_once(client: Client) -> None:
    client.post(RULES, VIP)
    answer = client.post(RULES, VIP)
    assert (answer.status, answer.code) == (409, "name_taken")


def test_an_explanation_answers_for_given_facts(client: Client) -> None:
    for name, tags in (("one", ["premium"]), ("other", [])):
        rows.instance(rows.service(name, tags=tags))
    client.post(RULES, VIP)
    vip = client.post("routing/explain", {"user_agent": "a vip"}).json
    assert (vip["rule"], vip["strategy"], vip["chosen"]) == ("vip", "least_connections", "one")
    everybody = client.post("routing/explain", {}).json
    assert (everybody["rule"], everybody["chosen"]) == (None, None)
    assert everybody["rejected"][0]["rule"] == "vip"


def test_the_facts_of_an_explanation_are_those_of_a_client(client: Client) -> None:
    rows.instance(rows.service("one"))
    lines = (
        ("client_ip", "cidr", ["192.0.2.0/24"]),
        ("header.accept-language", "starts_with", "zh"),
        ("query.plan", "equals", "gold"),
        ("metadata.client.app", "equals", "reader"),
    )
    conditions = [{"field": f, "operator": o, "value": value} for f, o, value in lines]
    client.post(RULES, {"name": "all", "conditions": conditions})
    facts = {
        "client_ip": "192.0.2.7",
        "headers": {"Accept-Language": "zh-CN"},
        "query": {"plan": "gold"},
        "metadata": {"client": {"app": "reader"}},
    }
    assert client.post("routing/explain", facts).json["rule"] == "all"


ACTIONS = {
    "list": ("GET", RULES, None, "view_routingrule"),
    "show": ("GET", f"{RULES}/vip", None, "view_routingrule"),
    "explain": ("POST", "routing/explain", {}, "view_routingrule"),
    "add": ("POST", RULES, {"name": "new"}, "add_routingrule"),
    "put": ("PUT", f"{RULES}/vip", VIP, "change_routingrule"),
    "patch": ("PATCH", f"{RULES}/vip", {"weight": 2}, "change_routingrule"),
    "remove": ("DELETE", f"{RULES}/vip", None, "delete_routingrule"),
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_each_action_needs_its_own_permission(
    staff: StaffClient, client: Client, action: tuple[str, str, Any, str]
) -> None:
    client.post(RULES, VIP)
    *request, permission = action
    others = {each[3] for each in ACTIONS.values()} - {permission}
    refused = staff(*others, "view_service", "change_service", name="other").ask(*request)
    assert (refused.status, refused.code) == (403, "permission_denied")
    assert staff(permission).ask(*request).status in (200, 201, 204)


def test_the_history_tells_who_changed_a_rule(staff: StaffClient) -> None:
    ada = staff("add_routingrule", "change_routingrule")
    ada.post(RULES, VIP)
    ada.patch(f"{RULES}/vip", {"weight": 2})
    noted = LogEntry.objects.order_by("pk").values_list("object_repr", "change_message")
    assert list(noted) == [("vip", "Added over REST."), ("vip", "Changed over REST.")]


def test_a_rule_is_not_a_service(client: Client) -> None:
    client.post(RULES, VIP)
    assert client.get("services/vip").code == "unknown_service"
    assert not Service.objects.exists()
