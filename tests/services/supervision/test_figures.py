"""What servers say of services, put together."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from myagent.sentence import Said
from services.models import Service
from services.supervision import figures
from services.supervision.figures import NOT_KNOWN, Figures
from services.telling import kept, told
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


def test_of_a_service_elsewhere_only_its_connections_are_known() -> None:
    far = Service(id="2", name="far", url="wss://far.example/")
    reports = [("", {"services": {"far": {"connections": count}}}) for count in (2, 3)]
    assert Figures(reports).of(far) == NOT_KNOWN | {"connections": 5}


IN_USE = kept(Said("Port {port} needs more rights; choose one above 1023.", {"port": 80}))

SHOP = Service(id="3", name="shop", port=8081)


@pytest.mark.parametrize(
    ("reports", "trouble"),
    [
        ([{"own_ports": {"shop": ""}}], ""),
        ([{"own_ports": {"shop": IN_USE}}], "Port 80 needs"),
        ([{"own_ports": {"shop": IN_USE}}, {"own_ports": {"shop": ""}}], ""),
        ([{"own_ports": {}}], ""),
        ([{"services": {}}], "only 'manage.py serve' opens such ports"),
        ([{"services": {}}, {"own_ports": {"shop": IN_USE}}], "Port 80 needs"),
        ([{}], ""),
        ([], "only 'manage.py serve' opens such ports"),
    ],
)
def test_what_is_wrong_with_an_own_port_is_what_its_servers_say(
    reports: list[dict[str, Any]], trouble: str
) -> None:
    seen = Figures([("other", {"pid": 1}), *(("", report) for report in reports)])
    found = told(seen.trouble_with_port(SHOP))
    assert found == trouble or (trouble and trouble in found)
    assert seen.trouble_with_port(WEATHER) == ""


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
