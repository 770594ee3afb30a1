"""Lists over REST: filtered, ordered, a page at a time, and at a price that does not grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import RequestFactory
from django.utils import timezone

from agents.runtime.ids import new_id
from services.catalogue import registry
from services.models import Instance, Service
from services.nodes import this_node
from services.rest.views import ServicesView

from .client import Client

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture(autouse=True)
def services(transactional_db: None, agent_dir: Path) -> None:
    file = str(agent_dir / "echo.py")
    for name, tags, description in [
        ("alpha", ["demo", "gpu"], "Knows the weather"),
        ("beta", ["demo"], "Sells WEATHER maps"),
        ("gamma", ["gpu", "中文"], "天气"),
        ("delta", [], "Has 100% of everything"),
    ]:
        registry.register(
            name=name, agent_factory_path=file, tags=tags, description=description, weight=len(tags)
        )
    Service.objects.filter(name="beta").update(status="running", desired="running")


def names(client: Client, query: str = "") -> list[str]:
    answer = client.get(f"services?{query}")
    assert answer.status == 200
    return [item["name"] for item in answer.json["items"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["alpha", "beta", "delta", "gamma"]),
        ("status=running", ["beta"]),
        ("desired=stopped", ["alpha", "delta", "gamma"]),
        ("tags=demo", ["alpha", "beta"]),
        ("tags=demo,gpu", ["alpha"]),
        ("tags=gpu%2C%20demo", ["alpha"]),
        ("tags=%E4%B8%AD%E6%96%87", ["gamma"]),
        ("tags=dem", []),
        ("tags=demo,absent", []),
        ("name=ELT", ["delta"]),
        ("search=weather", ["alpha", "beta"]),
        ("search=%E5%A4%A9", ["gamma"]),
        ("search=100%25", ["delta"]),
        ("search=_", []),
        ("search=weather&status=running&tags=demo", ["beta"]),
        ("ordering=-name", ["gamma", "delta", "beta", "alpha"]),
        ("ordering=-weight", ["alpha", "gamma", "beta", "delta"]),
        ("ordering=status,-name", ["beta", "gamma", "delta", "alpha"]),
        ("limit=2", ["alpha", "beta"]),
        ("limit=2&offset=3", ["gamma"]),
        ("offset=100", []),
        ("tags=", ["alpha", "beta", "delta", "gamma"]),
        ("tags=%20,", ["alpha", "beta", "delta", "gamma"]),
    ],
)
def test_what_is_asked_for_is_listed(client: Client, query: str, expected: list[str]) -> None:
    assert names(client, query) == expected


def test_a_page_says_its_place_in_the_whole(client: Client) -> None:
    page = client.get("services?limit=1&offset=2&tags=demo").json
    assert page == {"items": [], "total": 2, "limit": 1, "offset": 2}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("unknown=1", "unknown"),
        ("tag=demo", "tag"),
        ("Status=running", "Status"),
        ("status=flying", "status"),
        ("desired=flying", "desired"),
        ("status=", "status"),
        ("ordering=environment", "ordering"),
        ("ordering=password", "ordering"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        ("limit=1_0", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("offset=-1", "offset"),
        ("offset=2147483648", "offset"),
        ("offset=9223372036854775808", "offset"),
        ("offset=NaN", "offset"),
        ("search=%00", "search"),
        ("tags=%00", "tags"),
        ("name=" + "x" * 1001, "name"),
        ("search=" + "x" * 1001, "search"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(client: Client, query: str, field: str) -> None:
    answer = client.get(f"services?{query}")
    assert (answer.status, answer.code, answer.json["field"]) == (400, "invalid", field)


def test_a_page_costs_as_many_queries_as_a_row(
    django_assert_max_num_queries: Any, settings: Any, agent_dir: Path
) -> None:
    settings.MYAGENT_AUTH = "open"
    for service in Service.objects.all():
        for slot in range(3):
            launched(service, slot)
    request = RequestFactory().get("/api/v1/services")
    request.scope = Client()._scope("GET", "services", {"host": "localhost"})  # type: ignore[attr-defined]
    with django_assert_max_num_queries(5):
        response = ServicesView.as_view()(request)
    assert len(response.data["items"]) == 4


def launched(service: Service, slot: int) -> Instance:
    now = timezone.now()
    return Instance.objects.create(
        id=new_id(), service=service, slot=slot, live_slot=slot, generation=1, state="running",
        state_since=now, node=this_node(), launched_at=now,
    )  # fmt: skip
