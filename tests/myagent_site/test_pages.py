"""The pages as HTTP: language, headers, and the files they are made of."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.test import AsyncClient

from agents.runs.standalone import StandaloneWorker
from agents.serving import standalone
from myagent_site.chat_texts import TEXTS
from tests.myagent_site.clients import ClientOf, at_this_machine

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def single_agent() -> AsyncClient:
    """Asks a server with one agent file, which no worker has loaded yet."""
    worker = StandaloneWorker(ROOT / "examples" / "approval_agent.py", "shop")
    return ClientOf(standalone(worker))


async def test_a_server_with_one_agent_has_its_chat_at_the_top(single_agent: AsyncClient) -> None:
    response = await single_agent.get("/")
    text = response.content.decode()
    assert response.status_code == 200
    assert '<h1 id="title">shop</h1>' in text
    assert '<html lang="en">' in text
    assert (response.context["page"]["socket"], response.context["page"]["service"]) == (
        "/",
        "shop",
    )
    assert (await single_agent.get("/services/shop/")).status_code == 404


@pytest.mark.django_db(transaction=True)
async def test_without_an_agent_the_page_says_what_to_do() -> None:
    response = await at_this_machine().get("/")
    assert response.status_code == 200
    assert "manage.py runagent" in response.content.decode()
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]


async def test_a_page_may_talk_to_its_own_host_alone(single_agent: AsyncClient) -> None:
    response = await single_agent.get("/")
    policy = response.headers["Content-Security-Policy"]
    assert "connect-src 'self' ws://testserver wss://testserver;" in policy


async def test_a_page_holds_no_script_or_style_of_its_own(single_agent: AsyncClient) -> None:
    text = (await single_agent.get("/")).content.decode()
    assert "style=" not in text
    assert "<style" not in text
    assert "onclick" not in text
    assert text.count("<script") == text.count("<script src=") + text.count(
        '<script type="module" src='
    ) + text.count('type="application/json"')


async def test_the_language_is_the_browsers_or_the_chosen_one(async_client: AsyncClient) -> None:
    async def lang(address: str = "/", accepted: str = "") -> str:
        response = await async_client.get(address, headers={"Accept-Language": accepted})
        return str(response.headers["Content-Language"])

    assert await lang(accepted="de, zh-CN;q=0.8, en;q=0.5") == "zh-hans"
    assert await lang(accepted="de") == "en"
    assert await lang("/?lang=xx") == "en"
    assert "myagent_lang" not in async_client.cookies
    assert await lang("/?lang=zh-CN", accepted="en") == "zh-hans"
    assert await lang(accepted="en") == "zh-hans"  # It was remembered.
    assert await lang("/?lang=en", accepted="zh") == "en"


async def test_only_looking_is_allowed(async_client: AsyncClient) -> None:
    assert (await async_client.head("/")).status_code == 200
    assert (await async_client.post("/")).status_code == 405


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("js/myagent.js", "text/javascript"),
        ("css/page.css", "text/css"),
        ("img/icon.svg", "image/svg+xml"),
        ("vendor/marked/marked.js", "text/javascript"),
    ],
)
async def test_files_come_as_what_they_are(async_client: AsyncClient, path: str, kind: str) -> None:
    response = await async_client.get(f"/static/{path}")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith(kind)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.content == (settings.STATIC_DIR / path).read_bytes()
    if path.endswith(".svg"):
        # Opened by itself, it is a document.
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    again = await async_client.get(
        f"/static/{path}", headers={"If-Modified-Since": response.headers["Last-Modified"]}
    )
    assert again.status_code == 304
    assert again.content == b""


@pytest.mark.parametrize(
    "path", ["", "js", "js/", "nothing.js", "../manage.py", "%2e%2e/manage.py", "..%2fmanage.py"]
)
async def test_nothing_else_comes(async_client: AsyncClient, path: str) -> None:
    assert (await async_client.get(f"/static/{path}")).status_code == 404


async def test_pages_on_other_hosts_may_use_the_module(async_client: AsyncClient) -> None:
    response = await async_client.get("/static/js/myagent.js")
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_every_text_is_used() -> None:
    sources = [
        path.read_text(encoding="utf-8")
        for folder, kind in ((settings.STATIC_DIR / "js", "*.js"), (ROOT / "templates", "*.html"))
        for path in folder.rglob(kind)
    ]
    everything = "\n".join(sources)
    built = ("conversation_", "tab_", "theme_", "tool_", "thumb_")
    unused = [
        name
        for name in TEXTS
        if f'"{name}"' not in everything
        and f"text.{name} " not in everything
        and not name.startswith(built)
    ]
    assert unused == []


def test_third_party_files_come_with_their_licences() -> None:
    folders = [folder for folder in (settings.STATIC_DIR / "vendor").iterdir() if folder.is_dir()]
    assert folders
    for folder in folders:
        assert (folder / "LICENSE").read_text(encoding="utf-8").strip()
        assert (folder / "VERSION").read_text(encoding="utf-8").strip()
