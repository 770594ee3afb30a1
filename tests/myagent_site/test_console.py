"""The console over HTTP: who may look, what is sent, and how the home page receives people."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.test import AsyncClient

from myagent_site.console_texts import HOME_TEXTS, TEXTS
from myagent_site.pages import LANGUAGE_COOKIE
from services.models import Service
from services.supervision import health
from services.supervision.failing import why_it_is_given_up
from services.telling import kept
from tests.myagent_site.clients import at_another_machine, at_this_machine
from tests.myagent_site.test_pages import ROOT
from tests.services.measured import add_running, add_service

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESSES = ["/console/events", "/console/history?service=x"]


@pytest.fixture
def here() -> AsyncClient:
    return at_this_machine()


@pytest.fixture
def elsewhere() -> AsyncClient:
    return at_another_machine()


def person(*permissions: str, is_staff: bool = True) -> User:
    user = User.objects.create_user("ada", password="x", is_staff=is_staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


async def log_in(client: AsyncClient, *permissions: str, is_staff: bool = True) -> None:
    await client.aforce_login(await sync_to_async(person)(*permissions, is_staff=is_staff))


async def test_on_this_machine_no_login_is_asked_for(here: AsyncClient) -> None:
    response = await here.get("/console")
    assert response.status_code == 200
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    assert response.context["page"]["mayControl"]
    assert response.context["page"]["startsSupervisor"] is settings.IS_EMBEDDED


async def test_rules_of_routing_are_for_those_who_may_see_and_change_them(
    here: AsyncClient, elsewhere: AsyncClient
) -> None:
    rights = ("mayAdd", "mayChange", "mayRemove")
    rules = (await here.get("/console")).context["page"]["rules"]
    assert [rules[right] for right in rights] == [True] * 3
    await log_in(elsewhere, "view_service", "view_routingrule", "change_routingrule")
    response = await elsewhere.get("/console")
    assert [response.context["page"]["rules"][right] for right in rights] == [False, True, False]
    assert 'id="rule-add"' not in response.content.decode()


async def test_who_may_not_see_rules_of_routing_has_none(elsewhere: AsyncClient) -> None:
    await log_in(elsewhere, "view_service")
    response = await elsewhere.get("/console")
    assert response.context["page"]["rules"] is None
    assert 'id="rules"' not in response.content.decode()


async def test_from_elsewhere_one_has_to_log_in(elsewhere: AsyncClient) -> None:
    response = await elsewhere.get("/console")
    assert response.status_code == 302
    assert response.headers["Location"] == "/admin/login/?next=/console"


async def test_with_tokens_one_has_to_log_in_on_this_machine_too(
    here: AsyncClient, settings: Any
) -> None:
    settings.MYAGENT_AUTH = "token"
    assert (await here.get("/console")).status_code == 302
    for address in ADDRESSES:
        assert (await here.get(address)).status_code == 403


@pytest.mark.parametrize("address", ADDRESSES)
async def test_what_the_console_shows_is_as_closed_as_the_console(
    elsewhere: AsyncClient, address: str
) -> None:
    response = await elsewhere.get(address)
    assert response.status_code == 403
    assert response.json()["code"] == "forbidden"
    await log_in(elsewhere, "view_service")
    assert (await elsewhere.head(address)).status_code == 200


async def test_who_may_only_look_is_offered_no_buttons(elsewhere: AsyncClient) -> None:
    await log_in(elsewhere, "view_service")
    page = (await elsewhere.get("/console")).context["page"]
    assert (page["mayControl"], page["mayChange"]) == (False, False)


async def test_who_may_control_is_offered_buttons_and_a_token_for_them(
    elsewhere: AsyncClient,
) -> None:
    await log_in(elsewhere, "view_service", "control_service", "change_service")
    response = await elsewhere.get("/console")
    page = response.context["page"]
    assert (page["mayControl"], page["mayChange"]) == (True, True)
    assert page["csrf"]
    assert settings.CSRF_COOKIE_NAME in response.cookies


async def test_staff_without_leave_is_told_so_and_not_sent_around(
    elsewhere: AsyncClient,
) -> None:
    await log_in(elsewhere)
    response = await elsewhere.get("/console")
    assert response.status_code == 403
    page = unescape(response.content.decode())
    assert "may not see services" in page
    assert "You need the permission 'Can view service' (services.view_service)." in page


async def test_who_is_not_staff_has_to_log_in_as_one_who_is(elsewhere: AsyncClient) -> None:
    await log_in(elsewhere, "view_service", is_staff=False)
    assert (await elsewhere.get("/console")).status_code == 302


async def test_events_are_a_stream_that_nobody_keeps(here: AsyncClient) -> None:
    await here.get("/console")
    response = await here.get("/console/events")
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Accel-Buffering"] == "no"
    stream = aiter(response.streaming_content)
    assert (await anext(stream)).startswith(b"retry:")
    assert (await anext(stream)).startswith(b'event: snapshot\ndata: {"totals":')
    await stream.aclose()


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "The last time: It did not answer in time."),
        ("zh-CN", "已连续失败 2 次，不再重新启动。最后一次：未在规定时间内响应。"),
    ],
)
async def test_what_went_wrong_is_said_in_the_language_of_the_page(
    here: AsyncClient, language: str, sentence: str
) -> None:
    error = why_it_is_given_up(2, kept(health.TOO_LATE), restarts=True)
    await sync_to_async(add_service)("one", Service.Status.ERROR, error_message=error)
    here.cookies[LANGUAGE_COOKIE] = language
    response = await here.get("/console/events")
    stream = aiter(response.streaming_content)
    await anext(stream)
    assert sentence in (await anext(stream)).decode()
    await stream.aclose()


async def test_one_too_many_is_asked_to_come_later(
    here: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("myagent_site.feed.MAX_VIEWERS", 0)
    response = await here.get("/console/events")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "10"


@pytest.mark.parametrize("address", ["/console", *ADDRESSES])
async def test_only_looking_is_possible(here: AsyncClient, address: str) -> None:
    assert (await here.post(address)).status_code == 405


async def test_the_home_page_leads_to_what_runs(here: AsyncClient) -> None:
    await sync_to_async(add_running)("weather", description="Tells <b>what</b> it is like")
    await sync_to_async(add_service)("idle")
    text = (await here.get("/")).content.decode()
    assert 'href="/services/weather/"' in text
    assert "Tells &lt;b&gt;what&lt;/b&gt; it is like" in text
    assert "idle" not in text
    assert 'href="/console"' in text
    assert 'href="/admin/"' in text


async def test_an_empty_site_says_how_to_begin(here: AsyncClient) -> None:
    text = (await here.get("/")).content.decode()
    assert "manage.py services register" in text
    assert "manage.py runagent" in text


async def test_strangers_see_nothing_of_the_services(elsewhere: AsyncClient) -> None:
    await sync_to_async(add_running)("weather")
    text = (await elsewhere.get("/")).content.decode()
    assert "weather" not in text
    assert "/admin/login/?next=/" in text


async def test_neither_page_holds_a_script_or_style_of_its_own(here: AsyncClient) -> None:
    for address in ("/", "/console"):
        text = (await here.get(address)).content.decode()
        assert "style=" not in text
        assert "<style" not in text
        scripts = text.count("<script src=") + text.count('<script type="module" src=')
        assert text.count("<script") == scripts + text.count('type="application/json"')


def test_every_text_of_the_console_is_used() -> None:
    folders = ((settings.STATIC_DIR / "js", "*.js"), (ROOT / "templates", "*.html"))
    everything = "\n".join(
        path.read_text(encoding="utf-8") for folder, kind in folders for path in folder.rglob(kind)
    )
    built = ("state_", "health_", "desired_", "theme_", "strategy_")
    unused = [
        name
        for name in TEXTS | HOME_TEXTS
        if f'"{name}"' not in everything
        and f"text.{name} " not in everything
        and not name.startswith(built)
    ]
    assert unused == []
