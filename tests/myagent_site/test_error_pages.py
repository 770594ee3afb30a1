"""Errors: a page in the site's own style for people, JSON for programs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError, ProgrammingError
from django.db.backends.utils import CursorWrapper
from django.http import HttpRequest
from django.test import AsyncClient, RequestFactory
from structlog.testing import capture_logs

from agents.runs.standalone import StandaloneWorker
from agents.serving import standalone
from myagent_site import error_pages
from tests.myagent_site.clients import ClientOf, at_this_machine

ROOT = Path(__file__).parent.parent.parent
BROWSER = {"Accept": "text/html,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("accepted", "title"), [("en", "There is no such page"), ("zh-CN", "没有这个页面")]
)
async def test_an_unknown_path_has_a_page_of_the_site(accepted: str, title: str) -> None:
    headers = BROWSER | {"Accept-Language": accepted}
    response = await at_this_machine().get("/nowhere/<b>/", headers=headers)
    text = response.content.decode()
    assert response.status_code == 404
    assert f"<h1>{title}</h1>" in text
    assert "/nowhere/&lt;b&gt;/" in text
    assert 'href="/console"' in text
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]


async def test_a_program_is_told_in_json() -> None:
    told = {"detail": "Nothing is at this address: /nowhere", "code": "not_found"}
    for headers in {}, {"Accept": "*/*"}, {"Accept": "application/json"}:
        response = await at_this_machine().get("/nowhere", headers=headers)
        assert (response.status_code, response.json()) == (404, told)
    long = (await at_this_machine().get("/" + "x" * 1000)).json()["detail"]
    assert long.endswith(": /" + "x" * (error_pages.MAX_PATH - 1))


async def test_a_server_with_one_agent_leads_to_its_chat_and_nowhere_else() -> None:
    worker = StandaloneWorker(ROOT / "examples" / "approval_agent.py", "shop")
    response = await ClientOf(standalone(worker)).get("/console", headers=BROWSER)
    text = response.content.decode()
    assert response.status_code == 404
    assert "To the chat" in text
    assert 'href="/admin/"' not in text


@pytest.mark.parametrize(
    ("view", "given", "status", "sentence"),
    [
        (error_pages.forbidden, [PermissionDenied()], 403, "Your account may not do this."),
        (error_pages.stale_form, ["no token"], 403, "Go back, reload the page"),
        (error_pages.bad_request, [SuspiciousOperation("x")], 400, "not one that this site"),
        (error_pages.failed, [], 500, "log has the details"),
    ],
)
def test_each_trouble_has_its_sentence(
    view: Any, given: list[Any], status: int, sentence: str
) -> None:
    request: HttpRequest = RequestFactory().post("/", headers=BROWSER)
    response = view(request, *given)
    assert response.status_code == status
    assert sentence in response.content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/docs", "/console"])
async def test_a_page_is_there_with_and_without_its_slash(path: str) -> None:
    for address in (path, f"{path}/"):
        assert (await at_this_machine().get(address)).status_code == 200


def fail_statements(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Every statement of this process fails."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(CursorWrapper, "execute", fail)


LOGIN = {"username": "ada", "password": "correct horse battery staple"}


@pytest.fixture
async def known(db: None) -> AsyncClient:
    """A client that is logged in, and whose requests raise nothing."""
    user = await get_user_model().objects.acreate_superuser("ada", password=LOGIN["password"])
    client = AsyncClient(raise_request_exception=False)
    await client.aforce_login(user)
    return client


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        *[("get", path) for path in ("/", "/console", "/traces/", "/admin/", "/docs")],
        *[("get", path) for path in ("/services/weather/", "/nowhere")],
        *[("post", path) for path in ("/login/", "/admin/login/")],
    ],
)
async def test_while_the_database_is_away_every_page_says_so(
    known: AsyncClient,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
) -> None:
    settings.MYAGENT_AUTH = "token"
    fail_statements(monkeypatch, OperationalError(2002, "Can't connect to 'db.internal'"))
    sentence = "The database can't be used just now. Try again soon."
    with capture_logs() as ours:
        told = await getattr(known, method)(path, LOGIN, headers={"Accept": "application/json"})
    assert (told.status_code, told.headers["Retry-After"]) == (503, "5")
    assert told.json() == {"detail": sentence, "code": "storage_unavailable"}
    page = await getattr(known, method)(path, LOGIN, headers=BROWSER)
    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert "<h1>" in page.content.decode() and "internal" not in page.content.decode()
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]
    assert not [record for record in caplog.records if record.exc_info]
    assert [(line["event"], line["log_level"]) for line in ours] == [("storage_away", "warning")]


@pytest.mark.django_db(transaction=True)
async def test_a_mistake_in_a_statement_is_an_error_of_ours(
    known: AsyncClient,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.MYAGENT_AUTH = "token"
    fail_statements(monkeypatch, ProgrammingError(1146, "Table 'x' doesn't exist"))
    response = await known.get("/traces/")
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert [record for record in caplog.records if record.levelno == logging.ERROR]


@pytest.mark.django_db(transaction=True)
async def test_a_form_without_its_token_gets_the_page() -> None:
    client = AsyncClient(enforce_csrf_checks=True)
    response = await client.post("/admin/login/", headers=BROWSER)
    assert response.status_code == 403
    assert "This form can" in response.content.decode()
