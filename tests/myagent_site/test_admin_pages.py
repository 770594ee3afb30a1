"""Every page of the admin: who may frame it, what it may run, in which language it speaks."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

import pytest
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.test import Client

from agents.runs.standalone import StandaloneWorker
from agents.serving import standalone
from myagent_site.asgi import application
from tests.myagent_site.clients import ClientOf

PAGES = ("/admin/", "/admin/login/", "/admin/services/service/", "/admin/services/service/add/")

pytestmark = pytest.mark.django_db


@pytest.fixture
def chief() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("chief", password="a password"))
    return client


@pytest.mark.parametrize("path", [*PAGES, "/admin/nothing/", "/admin/services/service/x/start/"])
@pytest.mark.parametrize("is_logged_in", [True, False])
def test_a_page_runs_the_sites_own_scripts_only_and_is_in_no_frame(
    chief: Client, path: str, is_logged_in: bool
) -> None:
    response = (chief if is_logged_in else Client()).get(path)
    rules = dict(
        rule.split(" ", 1) for rule in response.headers["Content-Security-Policy"].split("; ")
    )
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["form-action"] == "'self'"
    assert rules["frame-ancestors"] == "'none'"
    assert response.headers["X-Frame-Options"] == "DENY"
    # Without it a browser sends forms with the Origin `null`, and the guard refuses them.
    assert response.headers["Referrer-Policy"] == "same-origin"


def test_a_page_holds_no_script_or_style_of_its_own(chief: Client) -> None:
    for path in PAGES:
        text = chief.get(path).content.decode()
        assert " style=" not in text
        assert "<style" not in text
        assert " onclick=" not in text


def test_the_admin_is_called_after_the_site_and_speaks_the_browsers_language(
    chief: Client,
) -> None:
    for accepted, login in (("en", "Log in"), ("zh-CN", "登录")):
        page = Client().get("/admin/login/", headers={"Accept-Language": accepted})
        assert "MyAgent Site" in page.content.decode()
        assert login in page.content.decode()


def test_other_pages_keep_their_own_rules(client: Client) -> None:
    assert client.get("/").headers["Referrer-Policy"] == "no-referrer"


async def test_a_server_with_a_single_agent_has_no_admin() -> None:
    server = standalone(StandaloneWorker("examples/echo_agent.py", "echo"))
    assert (await ClientOf(server).get("/admin/")).status_code == 404


async def asked(
    method: str, origin: str, *, cookies: SimpleCookie, form: dict[str, str], **headers: str
) -> tuple[int, str, SimpleCookie]:
    """The site's answer to a request as a proxy at 127.0.0.1 hands it on."""
    lines = {"host": "site.example", "x-forwarded-proto": "https"} | headers
    if cookies:
        lines["cookie"] = "; ".join(f"{name}={each.value}" for name, each in cookies.items())
    if method == "POST":
        lines |= {"origin": origin, "referer": f"{origin}/admin/login/"}
        lines["content-type"] = "application/x-www-form-urlencoded"
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": "/admin/login/",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in lines.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    site = ApplicationCommunicator(application, scope)
    await site.send_input({"type": "http.request", "body": urlencode(form).encode()})
    start = await site.receive_output(30)
    body = b""
    while True:
        part = await site.receive_output(30)
        body += part.get("body", b"")
        if not part.get("more_body"):
            break
    await site.wait(30)
    given = SimpleCookie()
    for name, value in start["headers"]:
        if name.lower() == b"set-cookie":
            given.load(value.decode())
    return start["status"], body.decode(), given


async def login_status(origin: str) -> int:
    _, page, cookies = await asked("GET", "", cookies=SimpleCookie(), form={})
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token is not None
    form = {"username": "chief", "password": "a password", "csrfmiddlewaretoken": token[1]}
    status, _, _ = await asked("POST", origin, cookies=cookies, form=form | {"next": "/admin/"})
    return status


@pytest.mark.django_db(transaction=True)
async def test_behind_a_trusted_proxy_that_speaks_https_one_logs_in_from_the_sites_own_page_only(
    settings: Any,
) -> None:
    await User.objects.acreate(
        username="chief", is_staff=True, password=make_password("a password")
    )
    settings.SITE_HOSTS = ["site.example"]
    settings.MYAGENT_TRUSTED_PROXIES = ["127.0.0.1"]
    assert await login_status("https://site.example") == 302
    assert await login_status("https://evil.example") == 403
    settings.MYAGENT_TRUSTED_PROXIES = []
    assert await login_status("https://site.example") == 403
