"""Requests over https to a trusted proxy, and over http: cookies and HSTS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, cast

import pytest
from django.core.asgi import get_asgi_application

from myagent_site.guard import Guard
from myagent_site.safe_answers import SafeAnswers

LOGIN = "/admin/login/"
OVER_TLS = [(b"x-forwarded-proto", b"https")]
PROXY = "198.51.100.1"


async def headers_of_login(
    headers: list[tuple[bytes, bytes]], *, client: str = PROXY, host: bytes = b"192.0.2.1"
) -> dict[str, list[str]]:
    """The headers of the login page's response, by name."""
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": LOGIN,
        "raw_path": LOGIN.encode(),
        "query_string": b"",
        "scheme": "http",
        "http_version": "1.1",
        "client": (client, 50000),
        "server": ("192.0.2.1", 8000),
        "headers": [(b"host", host), *headers],
    }
    found: dict[str, list[str]] = {}
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    async def send(message: dict[str, Any]) -> None:
        for name, value in message.get("headers", ()):
            found.setdefault(name.decode().lower(), []).append(value.decode())

    site = SafeAnswers(Guard(get_asgi_application()))
    await cast(Awaitable[None], site(scope, incoming.get, send))
    return found


@pytest.fixture(autouse=True)
def proxy(settings: Any) -> None:
    settings.MYAGENT_TRUSTED_PROXIES = [PROXY]


pytestmark = pytest.mark.django_db(transaction=True)


async def test_over_a_trusted_proxys_tls_cookies_are_secure_and_the_browser_is_kept_there() -> None:
    headers = await headers_of_login(OVER_TLS)
    assert headers["set-cookie"] and all("Secure" in each for each in headers["set-cookie"])
    assert headers["strict-transport-security"] == ["max-age=2592000"]


async def test_this_machines_own_names_are_not_kept_to_tls() -> None:
    headers = await headers_of_login(OVER_TLS, host=b"localhost:8443")
    assert all("Secure" in each for each in headers["set-cookie"])
    assert "strict-transport-security" not in headers


async def test_hsts_can_be_left_out(settings: Any) -> None:
    settings.MYAGENT_HSTS_S = 0
    assert "strict-transport-security" not in await headers_of_login(OVER_TLS)


@pytest.mark.parametrize(
    ("client", "headers"), [(PROXY, []), ("203.0.113.5", OVER_TLS)], ids=["http", "a stranger"]
)
async def test_over_http_nothing_is_promised(
    client: str, headers: list[tuple[bytes, bytes]]
) -> None:
    found = await headers_of_login(headers, client=client)
    assert found["set-cookie"] and not any("Secure" in each for each in found["set-cookie"])
    assert "strict-transport-security" not in found
