"""The chat pages of the site's services over HTTP: one for each, whatever becomes of it."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import OperationalError
from django.test import AsyncClient

from agents.sockets.handshake import OWN_DOOR
from myagent_site.console_texts import NO_CHAT_TEXTS
from services.models import Service
from tests.myagent_site.clients import ClientAt, at_another_machine, at_this_machine
from tests.myagent_site.test_error_pages import BROWSER
from tests.myagent_site.test_pages import ROOT
from tests.services.measured import add_running, add_service

pytestmark = pytest.mark.django_db(transaction=True)

add = sync_to_async(add_service)


@pytest.fixture
def here() -> AsyncClient:
    return at_this_machine()


async def test_a_service_has_its_page_at_the_path_of_its_socket(here: AsyncClient) -> None:
    agent = {"name": "Weather <desk>", "description": "Tells what it is like."}
    await sync_to_async(add_running)("weather", agent=agent)
    response = await here.get("/services/weather/")
    page = response.context["page"]
    assert response.status_code == 200
    assert (page["socket"], page["service"]) == ("/services/weather/", "weather")
    text = response.content.decode()
    assert '<h1 id="title">Weather &lt;desk&gt;</h1>' in text
    assert "Tells what it is like." in text
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]


TOOLS = [
    {"name": "sky", "description": "Look <up>.\nLong.", "requires_confirmation": False},
    {"name": "buy", "description": "", "requires_confirmation": True},
    *({"name": f"t{n}", "description": "", "requires_confirmation": False} for n in range(15)),
]


async def test_a_new_conversation_offers_questions_and_names_the_tools(here: AsyncClient) -> None:
    agent = {"tools": TOOLS, "examples": ["How is <it>?"], "model": "offline-demo"}
    await sync_to_async(add_running)("weather", agent=agent)
    text = (await here.get("/services/weather/")).content.decode()
    assert '<button type="button" class="example">How is &lt;it&gt;?</button>' in text
    assert "<code>sky</code></dt><dd>Look &lt;up&gt;.</dd>" in text
    assert '<code>buy</code><span class="asks-first">asks first</span>' in text
    assert '<span class="count">17</span>' in text
    assert "+ 5</p>" in text
    assert text.count("The offline demo model answers") == 1 + text.count('"demo":')


async def test_a_real_model_is_not_called_a_demo(here: AsyncClient) -> None:
    await sync_to_async(add_running)("weather", agent={"model": "gpt-x"})
    assert 'id="demo"' not in (await here.get("/services/weather/")).content.decode()


async def test_one_that_never_ran_goes_by_its_name(here: AsyncClient) -> None:
    await add("天气", description="说天气")
    response = await here.get("/services/%E5%A4%A9%E6%B0%94/")
    page = response.context["page"]
    assert (page["agent"], page["socket"]) == ("天气", "/services/%E5%A4%A9%E6%B0%94/")
    assert "说天气" in response.content.decode()


@pytest.mark.parametrize("status", Service.Status.values)
async def test_the_page_is_there_whatever_the_service_does(here: AsyncClient, status: str) -> None:
    await add("weather", status)
    assert (await here.get("/services/weather/")).status_code == 200


async def test_whoever_can_talk_to_a_service_gets_its_page() -> None:
    await add("weather")
    assert (await at_another_machine().get("/services/weather/")).status_code == 200


async def test_an_address_without_its_slash_gets_it(here: AsyncClient) -> None:
    response = await here.get("/services/weather?lang=zh-CN")
    assert response.status_code == 302
    assert response.headers["Location"] == "/services/weather/?lang=zh-CN"


@pytest.mark.parametrize("path", ["/services/", "/services"])
async def test_without_a_name_the_home_lists_the_services(here: AsyncClient, path: str) -> None:
    await sync_to_async(add_running)("weather")
    response = await here.get(f"{path}?lang=zh-CN")
    assert response.headers["Location"] == "/?lang=zh-CN"
    page = (await here.get(response.headers["Location"])).content.decode()
    assert 'href="/services/weather/"' in page


async def test_a_service_has_its_page_at_a_port_of_its_own_too() -> None:
    await add("shop")

    class AtItsPort(ClientAt):
        def _base_scope(self, **request: Any) -> dict[str, Any]:
            return super()._base_scope(**request) | {OWN_DOOR: "shop"}

    client = AtItsPort("localhost", "127.0.0.1", "127.0.0.1")
    page = (await client.get("/")).context["page"]
    assert (page["socket"], page["service"]) == ("/", "shop")
    assert (await client.get("/health")).status_code == 200
    for elsewhere in ("/console", "/admin/", "/api/v1/services", "/services/shop/"):
        assert (await client.get(elsewhere)).status_code == 404


@pytest.mark.parametrize(("lang", "title"), [("en", "No such service"), ("zh-CN", "没有该服务")])
async def test_a_name_that_nobody_has_is_said_to_be_none(
    here: AsyncClient, lang: str, title: str
) -> None:
    await add("weather")
    response = await here.get(f"/services/%3Cb%3EWeather/?lang={lang}", headers=BROWSER)
    text = response.content.decode()
    assert response.status_code == 404
    assert f"<h1>{title}</h1>" in text
    assert "&lt;b&gt;Weather" in text
    assert 'href="/"' in text


async def test_a_program_is_told_in_json_that_nobody_has_a_name(here: AsyncClient) -> None:
    response = await here.get("/services/none/", headers={"Accept": "application/json"})
    told = {"detail": "No service of this site has this name: none", "code": "no_service"}
    assert (response.status_code, response.json()) == (404, told)


async def test_names_are_told_apart_by_their_case(here: AsyncClient) -> None:
    await add("weather")
    assert (await here.get("/services/Weather/")).status_code == 404


async def test_the_page_of_a_service_elsewhere_is_there(here: AsyncClient) -> None:
    await add("far", url="wss://ada:secret@agents.example.org/ws", agent_factory_path="")
    await add("odd", url="ws://<script>/", agent_factory_path="")
    response = await here.get("/services/far/")
    assert response.status_code == 302
    assert response.headers["Location"] == "https://agents.example.org/"
    assert (await here.get("/services/odd/")).status_code == 404


async def test_a_database_that_is_away_is_said_to_be(
    here: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.raise_request_exception = False

    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("gone away")

    monkeypatch.setattr(Service.objects, "filter", fail)
    page = await here.get("/services/weather/", headers=BROWSER)
    told = await here.get("/services/weather/", headers={"Accept": "application/json"})
    assert (page.status_code, told.status_code) == (503, 503)
    assert page.headers["Retry-After"] == told.headers["Retry-After"]
    assert "database" in page.content.decode()
    assert told.json()["code"] == "storage_unavailable"
    assert "database" in told.json()["detail"]


async def test_only_looking_is_possible(here: AsyncClient) -> None:
    await add("weather")
    assert (await here.head("/services/weather/")).status_code == 200
    assert (await here.post("/services/weather/")).status_code in (403, 405)


def test_every_text_of_the_page_for_no_service_is_used() -> None:
    folders = ((settings.STATIC_DIR / "js", "*.js"), (ROOT / "templates", "*.html"))
    everything = "\n".join(
        path.read_text(encoding="utf-8") for folder, kind in folders for path in folder.rglob(kind)
    )
    unused = [
        name
        for name in NO_CHAT_TEXTS
        if f'"{name}"' not in everything
        and f"text.{name} " not in everything
        and not name.startswith("theme_")
    ]
    assert unused == []
