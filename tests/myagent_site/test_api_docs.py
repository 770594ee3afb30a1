"""The document of the REST interface, the page that shows it, and whether the site is ready."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
import yaml
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import AsyncClient

from myagent_site import health
from services.tokens import issuing

STATUSES = {
    "get": {"200", "401", "403", "503"},
    "post": {"400", "401", "403", "409", "413", "415", "503"},
    "put": {"200", "400", "401", "403", "404", "409", "413", "415", "503"},
    "patch": {"200", "400", "401", "403", "404", "409", "413", "415", "503"},
    "delete": {"400", "401", "403", "404", "413", "415", "503"},
}

NOT_OF_TOKENS = {"202", "400"}
"""A token is revoked at once, and nothing can be said with the request."""


@pytest.fixture
async def schema(async_client: AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await async_client.get("/api/schema/")).json()
    return found


NOT_OF_ROUTING = {
    ("post", "/api/v1/routing/explain"): {"409"},
    ("delete", "/api/v1/routing/rules/{id}"): {"202"},
}
"""The first changes nothing, and the other one waits for nothing."""


def test_every_operation_names_the_statuses_it_answers_with(schema: dict[str, Any]) -> None:
    paths = schema["paths"]
    assert "/api/v1/services/{id}/restart" in paths
    for path, operations in paths.items():
        assert path.startswith("/api/v1/")
        for method, operation in operations.items():
            due = STATUSES[method] - NOT_OF_ROUTING.get((method, path), set())
            due -= NOT_OF_TOKENS if "/tokens/" in path else set()
            assert set(operation["responses"]) >= due, (method, path)
            assert operation["summary"]


def test_every_refusal_has_an_example(schema: dict[str, Any]) -> None:
    for operations in schema["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    content = response["content"]["application/json"]
                    assert content["schema"] == {"$ref": "#/components/schemas/Error"}
                    assert content["examples"], status


def test_an_environment_is_in_requests_only(schema: dict[str, Any]) -> None:
    schemas = schema["components"]["schemas"]
    holding = {name for name, one in schemas.items() if "environment" in one.get("properties", {})}
    assert holding == {"ServiceInputRequest", "PatchedServiceInputRequest"}


@pytest.mark.parametrize("name", ["ServiceInputRequest", "ConfigInputRequest"])
def test_requests_hold_known_fields_only(schema: dict[str, Any], name: str) -> None:
    assert schema["components"]["schemas"][name]["additionalProperties"] is False


async def test_the_document_is_english_in_json_or_yaml(async_client: AsyncClient) -> None:
    first = await async_client.get("/api/schema/", headers={"accept-language": "zh-CN"})
    assert first.json()["info"]["title"] == "MyAgent Site"
    assert not re.search("[\u4e00-\u9fff]", first.content.decode())
    second = await async_client.get(
        "/api/schema", headers={"accept": "application/vnd.oai.openapi"}
    )
    assert yaml.safe_load(second.content) == first.json()


@pytest.mark.parametrize(
    "query", ["?lang=../../etc", "?lang=zh-hans", "?version=%0d%0aX:1", "?format=xml"]
)
async def test_no_query_changes_the_document(async_client: AsyncClient, query: str) -> None:
    response = await async_client.get(f"/api/schema/{query}")
    assert response.status_code in (200, 404)
    assert "X" not in response.headers


async def test_the_page_runs_no_script_but_the_sites_own(async_client: AsyncClient) -> None:
    page = await async_client.get("/docs")
    assert page.status_code == 200
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    text = page.content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text)
    for address in re.findall(r'(?:src|href)="([^"]+)"', text):
        assert address.startswith("/") and not address.startswith("//")
        assert (await async_client.get(address)).status_code == 200, address


async def test_the_script_with_the_token_is_not_for_other_pages(async_client: AsyncClient) -> None:
    script = await async_client.get("/docs?script=")
    assert script.headers["Content-Type"] == "application/javascript"
    assert script.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert script.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "query", ["?lang=</script><script>alert(1)</script>", '?x="><script>alert(1)</script>']
)
async def test_what_the_address_says_is_no_markup(async_client: AsyncClient, query: str) -> None:
    for address in (f"/docs{query}", f"/docs{query}&script="):
        assert b"<script>alert" not in (await async_client.get(address)).content


@pytest.fixture
async def ada(db: None, settings: Any) -> User:
    """Somebody without any permission, on a site where everybody logs in."""
    settings.MYAGENT_AUTH = "token"
    ada: User = await User.objects.acreate_user("ada")
    return ada


def bearing(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/api/schema", "/api/schema/"])
async def test_a_generator_with_a_token_is_given_the_document(
    async_client: AsyncClient, ada: User, path: str
) -> None:
    _, text = await sync_to_async(issuing.issue)(ada, "generator", rights=["use"])
    response = await async_client.get(path, headers=bearing(text))
    assert (response.status_code, response.json()["openapi"]) == (200, "3.1.0")


@pytest.mark.django_db(transaction=True)
async def test_whoever_is_logged_in_is_given_the_document(
    async_client: AsyncClient, ada: User
) -> None:
    await async_client.aforce_login(ada)
    response = await async_client.get("/api/schema/")
    assert (response.status_code, response.json()["openapi"]) == (200, "3.1.0")


@pytest.mark.django_db(transaction=True)
async def test_nobody_is_given_the_document_by_a_wrong_token_or_none(
    async_client: AsyncClient, ada: User
) -> None:
    wrong = await async_client.get("/api/schema/", headers=bearing("myagent_wrong"))
    assert (wrong.status_code, wrong.json()["detail"]) == (401, "The token is not valid.")
    assert wrong.headers["WWW-Authenticate"].startswith("Bearer")
    none = await async_client.get("/api/schema/")
    assert (none.status_code, none.json()["code"]) == (401, "unauthenticated")
    browser = await async_client.get("/api/schema/", headers={"Accept": "text/html"})
    assert browser.headers["Location"] == "/login/?next=/api/schema/"


@pytest.mark.django_db(transaction=True)
async def test_a_token_at_a_page_is_told_that_pages_need_a_login(
    async_client: AsyncClient, ada: User
) -> None:
    _, text = await sync_to_async(issuing.issue)(ada, "program")
    response = await async_client.get("/docs", headers=bearing(text))
    assert response.status_code == 401
    assert response.json() == {
        "detail": "Pages need a login: a token is for the REST API and for sockets.",
        "code": "unauthenticated",
    }


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
async def test_a_site_whose_database_answers_is_ready(async_client: AsyncClient) -> None:
    response = await async_client.get("/health/ready")
    assert (response.status_code, response.json()["status"]) == (200, "ready")


async def test_a_site_without_its_database_says_so(
    async_client: AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lost() -> None:
        raise OperationalError("gone away: 10.0.0.5")

    monkeypatch.setattr(health, "_ask_the_database", lost)
    response = await async_client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["code"] == "storage_unavailable"
    assert response.json()["detail"].endswith(".")
    assert b"10.0.0.5" not in response.content
    # An error in the log calls somebody.
    assert {record.levelname for record in caplog.records} == {"WARNING"}


async def test_a_database_that_never_answers_is_not_waited_for(
    async_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    monkeypatch.setattr(health, "READY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(health, "_ask_the_database", answers.wait)
    try:
        assert (await async_client.get("/health/ready")).status_code == 503
    finally:
        answers.set()
