"""One host is written in one way, whoever shows it."""

from __future__ import annotations

import pytest

from agents.runtime.addresses import address_of, is_everywhere, overlap


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("localhost", "localhost"),
        ("", "localhost"),
        ("0.0.0.0", "localhost"),
        ("::", "localhost"),
        ("0:0:0:0:0:0:0:0", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.2"),
        ("::1", "[::1]"),
        ("10.0.0.5", "10.0.0.5"),
        ("agents.example.org", "agents.example.org"),
    ],
)
def test_what_listens_on_a_host_is_reached_at(host: str, shown: str) -> None:
    assert address_of(host, 8080) == f"ws://{shown}:8080/"


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "::0"])
def test_every_address_is_in_the_way_of_all_others(host: str) -> None:
    assert is_everywhere(host)
    assert overlap(host, "10.0.0.5")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "elsewhere"])
def test_one_address_is_not_every_address(host: str) -> None:
    assert not is_everywhere(host)
    assert not overlap(host, "10.0.0.5")
