"""The book of rules: what may be in it, what is warned about, and that servers follow it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.directory import Choice, Facts
from agents.models import Server
from agents.ownership import servers
from agents.runs.workers import Workers
from agents.runtime.process import own_identity
from services.errors import Conflict, ServiceError, UnknownRule
from services.models import Instance, RoutingRule, Service, Supervisor
from services.nodes import this_node
from services.routing import asking, rulebook
from services.routing.directory import SiteDirectory
from tests.services import rows

pytestmark = [pytest.mark.django_db(transaction=True)]

PATIENCE_S = 30.0

VIP = {"field": "user_agent", "operator": "contains", "value": "VIP", "case_sensitive": False}


def running(name: str, state: str = Instance.State.RUNNING, **fields: Any) -> Service:
    service = rows.service(name, **fields)
    rows.instance(service, state)
    return service


@pytest.fixture
async def directory() -> AsyncIterator[SiteDirectory]:
    workers = Workers()
    directory = SiteDirectory(workers)
    yield directory
    await directory.stop()
    workers.close()


def name_of(choice: Choice | None) -> str | None:
    return None if choice is None else choice.service


async def chosen(directory: SiteDirectory, **facts: Any) -> str | None:
    await directory.refresh()
    return name_of(directory.choose(Facts(**facts)))


@pytest.mark.both_databases
async def test_a_server_follows_each_change_of_the_rules(directory: SiteDirectory) -> None:
    for name in ("one", "other"):
        await sync_to_async(running)(name)
    assert await chosen(directory) is None
    rule = await sync_to_async(rulebook.add)(name="all", target_services=["one"])
    assert await chosen(directory) == "one"
    await sync_to_async(rulebook.change)(rule, target_services=["other"])
    assert await chosen(directory) == "other"
    await sync_to_async(rulebook.change)(rule, enabled=False)
    assert await chosen(directory) is None
    await sync_to_async(rulebook.change)(rule, enabled=True, conditions=[VIP])
    assert await chosen(directory, user_agent="a vip") == "other"
    assert await chosen(directory) is None
    await sync_to_async(rulebook.remove)(rule)
    assert await chosen(directory, user_agent="a vip") is None


async def test_a_rule_of_a_site_without_services_holds_for_the_first_ones(
    directory: SiteDirectory,
) -> None:
    await directory.refresh()
    await sync_to_async(rulebook.add)(name="all", target_services=["one"])
    for name in ("one", "other"):
        await sync_to_async(running)(name)
    assert await chosen(directory) == "one"


async def test_choosing_costs_no_query(directory: SiteDirectory) -> None:
    for name in ("one", "other"):
        await sync_to_async(running)(name)
    await sync_to_async(rulebook.add)(name="all", target_strategy="least_connections")
    await directory.refresh()

    def choose() -> list[str | None]:
        with CaptureQueriesContext(connection) as asked:
            names = [name_of(directory.choose(Facts())) for _ in range(4)]
        assert not asked.captured_queries
        return names

    assert await sync_to_async(choose)() == ["one", "other", "one", "other"]


async def test_clients_at_other_servers_count(directory: SiteDirectory) -> None:
    @sync_to_async
    def prepare() -> None:
        for name in ("one", "other"):
            running(name)
        rulebook.add(name="all", target_strategy="least_connections")
        now = timezone.now()
        Supervisor.objects.create(
            node=this_node(),
            process=own_identity(),
            started_at=now,
            lease_until=now + timedelta(hours=1),
        )
        server = Server(id="elsewhere", host="there", process="none")
        servers.register(server, 60)
        servers.renew("elsewhere", 60, {"services": {"one": {"connections": 3}}})

    await prepare()
    await directory.start()
    directory.clients_here = {"one": 0, "other": 1}.__getitem__
    async with asyncio.timeout(PATIENCE_S):
        while name_of(directory.choose(Facts())) != "other":
            await directory.refresh()


async def test_a_rule_by_address_chooses_the_worker_too(directory: SiteDirectory) -> None:
    await sync_to_async(running)("one")
    rule = await sync_to_async(rulebook.add)(name="all", target_strategy="hash_based")
    await directory.refresh()
    assert directory.choose(Facts(client_ip="192.0.2.1")) == Choice("one", "192.0.2.1")
    await sync_to_async(rulebook.change)(rule, target_strategy="round_robin")
    await directory.refresh()
    assert directory.choose(Facts(client_ip="192.0.2.1")) == Choice("one")


async def test_a_full_service_is_passed_over(directory: SiteDirectory) -> None:
    for name in ("one", "other"):
        await sync_to_async(running)(name)
    await sync_to_async(rulebook.add)(name="all", target_services=["one"])
    await directory.refresh()
    assert name_of(directory.choose(Facts(), without=["one"])) == "other"


async def test_a_rule_that_another_version_stored_does_not_apply(
    directory: SiteDirectory,
) -> None:
    await sync_to_async(running)("one")
    await sync_to_async(running)("other")
    rule = await sync_to_async(rulebook.add)(name="later", target_services=["one"])
    await sync_to_async(rulebook.add)(name="now", target_services=["other"], priority=200)
    unknown = [VIP | {"operator": "sounds_like"}]
    await sync_to_async(RoutingRule.objects.filter(pk=rule.pk).update)(conditions=unknown)
    assert await chosen(directory, user_agent="VIP") == "other"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"priority": -1}, "priority"),
        ({"weight": 1001}, "weight"),
        ({"target_strategy": "by_mood"}, "target_strategy"),
        ({"target_strategy": ""}, "target_strategy"),
        ({"fallback_strategy": "by_mood"}, "fallback_strategy"),
        ({"target_services": ["no name"]}, "target_services"),
        ({"target_tags": ["no, tag"]}, "target_tags"),
        ({"conditions": [VIP] * 21}, "conditions"),
        ({"conditions": [VIP | {"field": "colour"}]}, "conditions.0"),
        ({"conditions": [VIP | {"field": "header."}]}, "conditions.0"),
        ({"conditions": [VIP | {"field": "header.two words"}]}, "conditions.0"),
        ({"conditions": [VIP | {"operator": "sounds_like"}]}, "conditions.0"),
        ({"conditions": [VIP | {"value": ""}]}, "conditions.0"),
        ({"conditions": [VIP | {"value": "\0"}]}, "conditions.0"),
        ({"conditions": [VIP | {"value": 7}]}, "conditions.0"),
        ({"conditions": [VIP | {"case_sensitive": "no"}]}, "conditions.0"),
        ({"conditions": [VIP | {"operator": "in_list", "value": []}]}, "conditions.0"),
        ({"conditions": [VIP | {"operator": "exists", "value": "perhaps"}]}, "conditions.0"),
        ({"conditions": [VIP | {"operator": "cidr", "value": "10.0.0.0/99"}]}, "conditions.0"),
        ({"conditions": [VIP | {"operator": "regex_match", "value": "(a"}]}, "conditions.0"),
        ({"conditions": [VIP | {"operator": "regex_match", "value": "a" * 501}]}, "conditions.0"),
    ],
)
def test_what_makes_no_rule_is_refused_in_a_sentence(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ServiceError) as refused:
        rulebook.add(**{"name": "it"} | fields)
    assert refused.value.field == field
    assert str(refused.value).endswith(".")
    assert not RoutingRule.objects.exists()


@pytest.mark.both_databases
def test_two_rules_never_have_the_same_name() -> None:
    first, second = rulebook.add(name="first"), rulebook.add(name="second")
    with pytest.raises(Conflict):
        rulebook.add(name="first")
    with pytest.raises(Conflict):
        rulebook.change(second, name="first")
    assert rulebook.find("first").pk == rulebook.find(first.pk).pk == first.pk


def test_a_rule_that_is_gone_can_be_neither_found_nor_changed() -> None:
    rule = rulebook.add(name="gone")
    rulebook.remove(rulebook.find("gone"))
    for verb in (lambda: rulebook.find("gone"), lambda: rulebook.change(rule, priority=1)):
        with pytest.raises(UnknownRule):
            verb()


def warnings(**fields: Any) -> list[str]:
    return rulebook.warnings_about(rulebook.add(name="it", **fields), rulebook.registered())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"target_services": ["one", "no"]},
            ["The rule names services that are not registered: no."],
        ),
        ({"target_tags": ["eu", "no"]}, ["None of its services has all of the tags eu, no."]),
        ({"target_services": ["one"], "target_tags": ["eu"]}, []),
        ({"conditions": [VIP]}, []),
        (
            {
                "conditions": [
                    {"field": "user", "operator": "equals", "value": "ada"},
                    {"field": "user", "operator": "equals", "value": "bob"},
                ]
            },
            ["Its conditions on user can't hold together."],
        ),
        (
            {
                "conditions": [
                    {"field": "query.plan", "operator": "equals", "value": "a"},
                    {"field": "query.plan", "operator": "equals", "value": "b"},
                ]
            },
            [],
        ),
        (
            {
                "conditions": [
                    {"field": "query.plan", "operator": "exists", "value": False},
                    {"field": "query.plan", "operator": "equals", "value": "b"},
                ]
            },
            ["Its conditions on query.plan can't hold together."],
        ),
    ],
)
def test_a_rule_that_can_have_no_effect_is_warned_about(
    fields: dict[str, Any], said: list[str]
) -> None:
    rows.service("one", tags=["eu"])
    assert warnings(**fields) == said


def test_an_explanation_tells_of_services_that_do_not_run() -> None:
    running("one")
    rows.service("other", Service.Status.STOPPED)
    rulebook.add(name="vip", conditions=[VIP], target_services=["other"])
    said = asking.explain(Facts(user_agent="vip"))
    assert said["chosen"] == "one"
    assert said["rejected"] == [
        {"rule": "vip", "why": "None of its services is running."},
        {"service": "other", "why": "It does not run: stopped."},
    ]
