"""Where servers elsewhere dial a worker that listens at all addresses: one at which it does."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from services.supervision import advertising
from services.supervision.advertising import advertised

FAR4, FAR6 = "192.0.2.7", "2001:db8::7"
OWN = {FAR4: "192.0.2.1", FAR6: "2001:db8::1"}


@pytest.fixture(autouse=True)
def database(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name has an address of each family; IPv6 comes first, as systems sort them."""
    monkeypatch.setitem(settings.DATABASES["default"], "HOST", "db")

    def look_up(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        assert host == "db"
        return [
            (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", (FAR6, port, 0, 0)),
            (socket.AF_INET, socket.SOCK_DGRAM, 17, "", (FAR4, port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(advertising, "_own_address_towards", lambda found: OWN[found[4][0]])


def test_what_listens_at_all_ipv4_addresses_is_dialled_at_one_of_these() -> None:
    assert advertised("0.0.0.0", None) == (OWN[FAR4], 0)


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_what_listens_at_all_ipv6_addresses_may_be_dialled_at_them() -> None:
    assert advertised("::", None) == (OWN[FAR6], 0)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs sockets of both families")
def test_an_ipv6_socket_is_reached_over_ipv4_as_well_if_ipv6_is_not_routed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unroutable(found: tuple[Any, ...]) -> str:
        if found[0] == socket.AF_INET6:
            raise OSError("no route")
        return OWN[found[4][0]]

    monkeypatch.setattr(advertising, "_own_address_towards", unroutable)
    with socket.socket(socket.AF_INET6) as listening:
        is_alone = listening.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    expected = socket.gethostname() if is_alone else OWN[FAR4]
    assert advertised("::", None) == (expected, 0)


def test_a_database_on_this_machine_says_nothing_about_the_way_from_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(advertising, "_own_address_towards", lambda found: "127.0.0.1")
    assert advertised("0.0.0.0", None) == (socket.gethostname(), 0)


@pytest.mark.parametrize("bound", ["192.0.2.1", "2001:db8::1", "worker-host"])
def test_an_address_that_is_bound_is_dialled_itself(bound: str) -> None:
    assert advertised(bound, None) == (bound, 0)


def test_what_people_say_holds() -> None:
    assert advertised("0.0.0.0", ("worker-host", 9001)) == ("worker-host", 9001)
