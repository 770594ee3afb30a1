"""Failed logins are delayed, and after some of them only this address is locked out."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth import get_user_model
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, AsyncRequestFactory

from myagent_site import logins
from tests.myagent_site.clients import ClientAt, at_this_machine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

LOGIN = "/admin/login/"
PASSWORD = "correct horse battery staple"
CSRF = "csrfmiddlewaretoken"
TOKEN = "x" * 32


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


@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
async def test_a_login_that_names_another_site_leads_to_the_home_page(path: str) -> None:
    form = {"username": "admin", "password": PASSWORD, "next": "//evil.example/"}
    answer: Any = await at_this_machine().post(path, form)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")


async def test_only_a_failed_login_is_answered_late(pauses: list[float]) -> None:
    client = at_this_machine()
    await client.get(LOGIN)
    assert (await log_in(client, PASSWORD)).status_code == 302
    assert not pauses
    await log_in(at_this_machine())
    assert pauses == [logins.PAUSE_S]


async def post_login(
    application: Any, address: str, password: str
) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers of a login that goes through the real ASGI application."""
    body = urlencode({"username": "admin", "password": password, CSRF: TOKEN}).encode()
    headers = {
        b"host": b"192.0.2.1:8000",
        b"content-type": b"application/x-www-form-urlencoded",
        b"content-length": str(len(body)).encode(),
        b"cookie": f"myagent_csrf={TOKEN}".encode(),
    }
    scope = {
        "type": "http",
        "method": "POST",
        "path": LOGIN,
        "query_string": b"",
        "headers": list(headers.items()),
        "client": (address, 50000),
        "server": ("192.0.2.1", 8000),
    }
    received = [{"type": "http.request", "body": body}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return received.pop() if received else await asyncio.Future()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


async def test_guesses_at_the_same_time_are_no_more_than_guesses_one_after_the_other() -> None:
    application = get_asgi_application()
    passwords = ["wrong"] * 37 + [PASSWORD] + ["wrong"] * 2
    answers = await asyncio.gather(
        *(post_login(application, "203.0.113.5", password) for password in passwords)
    )
    assert Counter(status for status, _ in answers) == {200: 1, 429: 39}
    assert {headers[b"Retry-After"] for status, headers in answers if status == 429} == {b"1"}
    from axes.models import AccessAttempt

    assert [found.failures_since_start async for found in AccessAttempt.objects.all()] == [1]
    assert (await post_login(application, "203.0.113.5", PASSWORD))[0] == 302, "the slot is free"


class Held:
    """A login page that answers when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.page = logins.slow_failed_logins(self._answer)

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        self.asked += 1
        await self.may_answer.wait()
        return HttpResponse()

    def ask(self, address: str, method: str = "POST") -> asyncio.Task[HttpResponse]:
        request = AsyncRequestFactory().generic(method, LOGIN)
        request.META["REMOTE_ADDR"] = address
        request.scope["client"] = (address, 50000)
        asked: Any = self.page(request)
        return asyncio.get_running_loop().create_task(asked)


async def test_a_few_logins_in_all_are_checked_at_once_and_other_requests_pass() -> None:
    held = Held()
    checked = [held.ask(f"203.0.113.{number}") for number in range(logins.MOST_CHECKS)]
    assert (await held.ask("203.0.113.99")).status_code == 429
    page = held.ask("203.0.113.99", "GET")
    held.may_answer.set()
    assert [(await task).status_code for task in [*checked, page]] == [200] * 5
    assert (await held.ask("203.0.113.99")).status_code == 200


async def test_the_pause_holds_up_the_own_address_only(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over, has_begun = asyncio.Event(), asyncio.Event()

    async def pause(seconds: float) -> None:
        has_begun.set()
        await is_over.wait()

    monkeypatch.setattr(logins.asyncio, "sleep", pause)
    held = Held()
    held.may_answer.set()
    failed = [held.ask(f"203.0.113.{number}") for number in range(logins.MOST_CHECKS)]
    await has_begun.wait()
    assert (await held.ask("203.0.113.0")).status_code == 429
    failed.append(held.ask("203.0.113.99"))
    is_over.set()
    assert [(await task).status_code for task in failed] == [200] * 5


async def test_a_client_that_leaves_does_not_free_its_slot_before_the_answer() -> None:
    held = Held()
    gone = held.ask("203.0.113.5")
    while not held.asked:
        await asyncio.wait([gone], timeout=0)
    gone.cancel()
    assert (await held.ask("203.0.113.5")).status_code == 429
    held.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert (await held.ask("203.0.113.5")).status_code == 200
