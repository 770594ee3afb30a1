"""Every page of the admin: who may frame it, what it may run, in which language it speaks."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient, Client

from agents.runner import use_runner

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


async def test_a_process_in_which_agent_code_runs_has_no_admin(async_client: AsyncClient) -> None:
    from agents.runner import open_runner

    runner = open_runner("examples/echo_agent.py")
    use_runner(runner)
    try:
        assert (await async_client.get("/admin/")).status_code == 404
    finally:
        use_runner(None)
        runner.agents.stop()
