"""What the manager's calls cost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from myagent.manager import verbs
from myagent.manager.storage.models import (
    ConditionOperator,
    RoutingCondition,
    RoutingRule,
    RoutingStrategy,
)
from services.routing import rules
from tests.ports import free_port
from tests.services import rows
from tests.services.measured import add_server

QUERIES = 7
"""Tags, services, instances, the site's address, the servers' reports, and two for observers."""


@pytest.mark.django_db
def test_ten_services_with_own_ports_are_listed_in_as_many_queries_as_one(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    add_server()
    rows.instance(rows.service("first", port=free_port()))
    with django_assert_num_queries(QUERIES):
        verbs.select(None, ())
    for number in range(9):
        rows.instance(rows.service(f"agent-{number}", port=free_port()))
    with django_assert_num_queries(QUERIES):
        listed = verbs.select(None, ())
    assert [len(each.instances) for each in listed] == [1] * 10


@pytest.mark.django_db
def test_a_rule_is_given_back_with_all_that_was_said() -> None:
    condition = RoutingCondition(
        field="client_ip", operator=ConditionOperator.CIDR, value=["10.0.0.0/8"]
    )
    rule = RoutingRule(
        name="all of it",
        description="Important.",
        priority=7,
        weight=3,
        enabled=False,
        conditions=(condition,),
        target_strategy=RoutingStrategy.HASH_BASED,
        target_services=("b", "a"),
        target_tags=frozenset({"eu"}),
        fallback_strategy=RoutingStrategy.MANUAL,
    )
    stored = verbs.add_rule(rule)
    assert verbs.rules() == [stored]
    assert replace(stored, rule_id="", warnings=()) == rule


def test_a_program_knows_every_strategy_and_operator_of_the_site() -> None:
    assert list(map(str, RoutingStrategy)) == list(map(str, rules.Strategy))
    assert list(map(str, ConditionOperator)) == list(map(str, rules.Operator))


@pytest.mark.django_db
def test_several_are_not_taken_for_one() -> None:
    with pytest.raises(TypeError):
        verbs.add_rule(RoutingRule(name="it", target_services="one"))


@pytest.mark.django_db
def test_rules_are_listed_in_two_queries(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(5):
        verbs.add_rule(RoutingRule(name=f"rule {number}"))
    with django_assert_num_queries(2):
        assert len(verbs.rules()) == 5
