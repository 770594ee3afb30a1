"""Failed logins are delayed, and after some of them only this address is locked out."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.http import HttpResponse
from django.test import AsyncClient

from myagent_site import logins
from tests.myagent_site.clients import ClientAt, at_this_machine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

LOGIN = "/admin/login/"
PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def admin(db: None) -> None:
    get_user_model().objects.create_superuser("admin", password=PASSWORD)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds by which answers were delayed."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(logins.asyncio, "sleep", sleep)
    return found


def client_from(address: str) -> AsyncClient:
    return ClientAt("192.0.2.1", "192.0.2.1", address)


async def log_in(client: AsyncClient, password: str = "wrong", name: str = "admin") -> HttpResponse:
    answer: Any = await client.post(LOGIN, {"username": name, "password": password})
    return answer


async def test_an_address_that_guesses_is_shut_out_whatever_the_names_and_others_are_not() -> None:
    guesser = client_from("203.0.113.5")
    for number in range(9):
        assert (await log_in(guesser, name=f"admin{number % 3}")).status_code == 200
    refused = await log_in(guesser)
    assert refused.status_code == 429
    assert b"Try again in 5 minutes." in refused.content
    assert refused.headers["Retry-After"] == "300"
    # From now on the right password does not help either.
    assert (await log_in(guesser, PASSWORD)).status_code == 429
    assert (await log_in(client_from("203.0.113.6"), PASSWORD)).status_code == 302


async def test_an_ipv6_network_is_one_address() -> None:
    for number in range(10):
        answer = await log_in(client_from(f"2001:db8::{number}"))
    assert answer.status_code == 429
    assert (await log_in(client_from("2001:db8:0:1::1"), PASSWORD)).status_code == 302


async def test_behind_a_trusted_proxy_the_client_is_shut_out_and_not_the_proxy(
    settings: Any,
) -> None:
    settings.MYAGENT_TRUSTED_PROXIES = ["198.51.100.1"]
    proxy = client_from("198.51.100.1")
    for number in range(10):
        # The client's own claim precedes the address that the proxy has seen.
        said = {"X-Forwarded-For": f"203.0.113.{number}, 203.0.113.66"}
        answer: Any = await proxy.post(
            LOGIN, {"username": "admin", "password": "wrong"}, headers=said
        )
    assert answer.status_code == 429
    other: Any = await proxy.post(
        LOGIN,
        {"username": "admin", "password": PASSWORD},
        headers={"X-Forwarded-For": "203.0.113.7"},
    )
    assert other.status_code == 302


async def test_the_time_out_ends_though_it_is_tried_on(settings: Any) -> None:
    guesser = client_from("203.0.113.5")
    for _ in range(12):
        answer = await log_in(guesser)
    assert answer.status_code == 429
    from axes.models import AccessAttempt

    await AccessAttempt.objects.aupdate(attempt_time="2020-01-01T00:00:00Z")
    assert (await log_in(guesser, PASSWORD)).status_code == 302


async def test_only_a_failed_login_is_answered_late(pauses: list[float]) -> None:
    client = at_this_machine()
    await client.get(LOGIN)
    assert (await log_in(client, PASSWORD)).status_code == 302
    assert not pauses
    await log_in(at_this_machine())
    assert pauses == [logins.PAUSE_S]
