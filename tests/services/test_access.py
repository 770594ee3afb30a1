"""Who is taken for a person at this very machine."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest

from services.access import is_local, is_open


def scope(
    *headers: tuple[str, str], host: str = "localhost:8000", **changes: Any
) -> dict[str, Any]:
    lines = [
        (b"host", host.encode()),
        *((name.encode(), value.encode()) for name, value in headers),
    ]
    return {
        "type": "http",
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "headers": lines,
    } | changes


@pytest.mark.parametrize(
    "asked",
    [
        scope(),
        scope(host="127.0.0.1:8000"),
        scope(host="[::1]:8000", server=("::1", 8000), client=("::1", 50000, 0, 0)),
        scope(host="site.localhost"),
        scope(("origin", "http://localhost:8000"), ("cookie", "a=b")),
    ],
)
def test_a_request_over_loopback_is_local(asked: dict[str, Any]) -> None:
    assert is_local(asked)


@pytest.mark.parametrize(
    "name",
    [
        "X-Forwarded-For",
        "x-forwarded-host",
        "X-Forwarded-Proto",
        "Forwarded",
        "X-Real-IP",
        "Via",
        "X-Client-IP",
        "True-Client-IP",
    ],
)
def test_what_came_through_a_proxy_is_not_local(name: str) -> None:
    assert not is_local(scope((name, "127.0.0.1")))
    assert not is_local(scope((name, "")))


def test_a_proxy_that_says_nothing_of_itself_is_known_by_the_old_http_it_speaks() -> None:
    assert not is_local(scope(http_version="1.0"))


@pytest.mark.parametrize(
    "asked",
    [
        scope(server=("192.168.1.7", 8000)),
        scope(client=("192.168.1.9", 50000)),
        scope(server=None),
        scope(client=None),
        scope(server=("/run/site.sock", None)),
        scope(host="site.example"),
        scope(host="192.168.1.7:8000"),
        scope(host=""),
        scope(host="localhost.example"),
        scope(("host", "localhost:8000"), host="site.example"),
        scope(headers=[]),
    ],
)
def test_other_addresses_and_names_are_not_local(asked: dict[str, Any]) -> None:
    assert not is_local(asked)


def test_a_request_that_did_not_come_over_asgi_is_not_local() -> None:
    request = HttpRequest()
    request.META |= {"REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": "localhost"}
    assert not is_local(request)


def test_only_the_open_mode_asks_no_login(settings: Any) -> None:
    settings.MYAGENT_AUTH = "open"
    assert is_open(scope())
    settings.MYAGENT_AUTH = "token"
    assert not is_open(scope())
