"""What servers say of services, put together."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from services import figures
from services.figures import NOT_KNOWN, Figures
from services.models import Service
from tests.services.measured import FIGURES, add_server

WEATHER = Service(id="1", name="weather")


def test_sums_over_servers_and_of_the_slow_turns_the_slowest() -> None:
    busy = FIGURES | {"active_sessions": 10, "turn_p95_ms": 2000.0}
    servers = [("", {"services": {"weather": each}}) for each in (FIGURES, busy)]
    assert Figures(servers).of(WEATHER) == {
        "active_sessions": 13,
        "running": 2,
        "connections": 8,
        "turns_per_minute": 25.0,
        "turn_p95_ms": 2000.0,
    }


def test_where_no_server_could_know_nothing_is_known() -> None:
    assert Figures([]).of(WEATHER) == NOT_KNOWN
    assert Figures([("other", {"services": {"other": FIGURES}})]).of(WEATHER) == NOT_KNOWN


def test_a_server_that_carries_none_of_its_conversations_counts_none() -> None:
    seen = Figures([("", {"services": {}}), ("", {})]).of(WEATHER)
    assert (seen["active_sessions"], seen["turn_p95_ms"]) == (0, None)


def test_of_a_service_elsewhere_nothing_is_known() -> None:
    far = Service(id="2", name="far", url="wss://far.example/")
    assert Figures([("", {"services": {}})]).of(far) == NOT_KNOWN


@pytest.mark.django_db
@pytest.mark.both_databases
def test_only_servers_whose_lease_holds_count() -> None:
    add_server({"weather": FIGURES})
    add_server({"weather": FIGURES}, lease_until=Now() - timedelta(seconds=1))
    add_server({"weather": FIGURES}, ended_at=Now())
    seen = figures.read()
    assert seen.of(WEATHER)["active_sessions"] == 3
    assert seen.together()["active_sessions"] == 3
    assert seen.connections == 4
