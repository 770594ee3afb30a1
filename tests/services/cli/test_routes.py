"""`manage.py services routes`: what is typed, and what is answered."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from services.models import RoutingRule, Service
from tests.services import rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def var_dir(tmp_path: Path, settings: LazySettings) -> None:
    settings.VAR_DIR = tmp_path


def routes(*arguments: str) -> str:
    output = io.StringIO()
    call_command("services", "routes", *arguments, stdout=output)
    return output.getvalue()


def routes_json(*arguments: str) -> Any:
    return json.loads(routes(*arguments, "--json"))


def test_an_added_rule_is_listed_with_all_that_was_typed() -> None:
    rows.service("one", tags=["eu", "fast"])
    said = routes(
        *("add", "VIP clients", "--when", "user_agent contains/i vip"),
        *("--when", "client_ip cidr 10.0.0.0/8, 192.0.2.0/24", "--to", "one", "--tags", "eu,fast"),
        *("--strategy", "least_connections", "--fallback", "manual"),
        *("--priority", "1", "--weight", "2", "--description", "Important.", "--disabled"),
    )
    assert said.startswith("The rule VIP clients is added (") and "Warning" not in said
    [rule] = routes_json("list")
    assert rule["conditions"] == [
        {"field": "user_agent", "operator": "contains", "value": "vip", "case_sensitive": False},
        {
            "field": "client_ip",
            "operator": "cidr",
            "value": ["10.0.0.0/8", "192.0.2.0/24"],
            "case_sensitive": True,
        },
    ]
    assert (rule["target_services"], rule["target_tags"]) == (["one"], ["eu", "fast"])
    assert (rule["target_strategy"], rule["fallback_strategy"]) == ("least_connections", "manual")
    assert (rule["priority"], rule["weight"], rule["enabled"]) == (1, 2, False)
    shown = routes("list")
    assert "user_agent contains/i vip, client_ip cidr 10.0.0.0/8, 192.0.2.0/24" in shown


def test_a_rule_that_can_have_no_effect_is_added_with_a_warning() -> None:
    said = routes("add", "it", "--to", "nobody")
    assert "Warning: The rule names services that are not registered: nobody." in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "it", "--when", "colour equals red"), "'colour' can't be a condition's field"),
        (("add", "it", "--when", "user"), "There is no operator ''"),
        (("add", "it", "--when", "user regex_match ("), "'(' is not a valid regular expression"),
        (("remove", "it"), "There is no routing rule 'it'."),
        (("edit", "it", "--weight", "2"), "There is no routing rule 'it'."),
        (("edit", "it"), "Say what to change: --help lists the options."),
        (("enable", "it"), "There is no routing rule 'it'."),
    ],
)
def test_what_can_not_be_is_refused_in_a_sentence(
    arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError) as refused:
        routes(*arguments)
    assert sentence in str(refused.value)


def test_an_edited_rule_keeps_what_was_not_named() -> None:
    rows.service("one", tags=["eu"])
    routes("add", "it", "--when", "user equals ada", "--to", "one", "--fallback", "manual")
    before = routes_json("list")[0]
    said = routes("edit", "it", "--priority", "7", "--tags", "eu", "--rename", "them")
    assert said == "The rule them is changed.\n"
    after = routes_json("list")[0]
    changed = {"priority": 7, "target_tags": ["eu"], "name": "them"}
    assert after == {**before, **changed, "updated_at": after["updated_at"]}


def test_conditions_targets_and_the_fallback_can_be_taken_away() -> None:
    routes("add", "it", "--when", "user equals ada", "--to", "one", "--fallback", "manual")
    routes("edit", "it", "--when", "", "--to", "", "--fallback", "none")
    [rule] = routes_json("list")
    assert (rule["conditions"], rule["target_services"]) == ([], [])
    assert rule["fallback_strategy"] is None


def test_a_name_that_no_path_of_the_api_can_hold_is_refused() -> None:
    with pytest.raises(CommandError, match="no slash"):
        routes("add", "b 9/..")


def test_a_rule_is_disabled_and_enabled() -> None:
    routes("add", "it")
    assert routes("disable", "it") == "The rule it is disabled.\n"
    assert not routes_json("list")[0]["enabled"]
    assert routes("enable", "it") == "The rule it is enabled.\n"
    assert routes_json("list")[0]["enabled"]


def test_a_removed_rule_is_gone() -> None:
    routes("add", "it")
    assert routes("remove", "it") == "The rule it is removed.\n"
    assert not RoutingRule.objects.exists()


def test_an_explanation_names_the_rule_the_service_and_why_others_were_not() -> None:
    rows.instance(rows.service("english"))
    rows.instance(rows.service("chinese"))
    rows.service("old", Service.Status.STOPPED)
    routes("add", "zh", "--when", "header.accept-language starts_with zh", "--to", "chinese")
    routes("add", "rest", "--to", "english", "--priority", "200")
    routes("add", "pause", "--to", "old", "--disabled")
    asked = ("--header", "Accept-Language=zh-CN", "--client-ip", "192.0.2.7")
    found = routes_json("explain", *asked)
    assert (found["rule"], found["chosen"]) == ("zh", "chinese")
    shown = routes("explain", "--header", "Accept-Language=en")
    for text in (
        "rest",
        "english",
        "'header.accept-language starts_with zh' does not hold: it is 'en'.",
        "The rule 'rest' does not name it.",
        "It does not run: stopped.",
        "pause\tIt is disabled; all of its conditions hold.",
    ):
        assert text in shown


def test_the_header_that_names_the_client_is_its_user_agent() -> None:
    rows.instance(rows.service("premium"))
    routes("add", "vip", "--when", "user_agent contains/i vip", "--to", "premium")
    assert routes_json("explain", "--header", "User-Agent=A VIP")["rule"] == "vip"


@pytest.mark.parametrize("header", ["garbage", "Accept-Language: zh", "=zh"])
def test_a_header_that_can_not_be_read_is_refused(header: str) -> None:
    with pytest.raises(CommandError, match="is not K=V"):
        routes("explain", "--header", header)


def test_a_verb_is_needed() -> None:
    with pytest.raises(CommandError):
        routes()
