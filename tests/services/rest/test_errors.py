"""Whatever is wrong is answered with the right status, a sentence and a code."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.db import OperationalError

from services.catalogue import registry
from services.models import Service

from .client import Client

pytestmark = pytest.mark.django_db(transaction=True)

NEW = {"name": "new", "agent_factory_path": "echo.py"}

WRONG = {
    "name": ["", "a b", "x" * 101, "-a", "a/b", 5, None, ["a"], "a\0b", "<script>", "a\nb"],
    "agent_factory_path": [5, None, ["a"]],
    "url": ["http://a/", "ws:///", "ws://a:0/", "ws://a:99999/", "ws://a\n/", 5, "ws://[/"],
    "description": [5, None, "x" * 10_001, "\0"],
    "tags": ["demo", [""], ["a b"], ["x" * 51], [5], [None], {"a": 1}, ["a"] * 200, None],
    "host": ["", "a b", "x" * 192, None, 5, "a/b"],
    "port": [0, 65536, -1, 1.5, "80", True, 10**18, 10**300, [80]],
    "replicas": [0, 101, None, 10**30, "2"],
    "weight": [-1, 1001, None, 2**63],
    "auto_start": ["yes", 1, None],
    "auto_restart": ["false", 0, None],
    "max_restart_count": [-1, 2**63, None, 0.5],
    "restart_delay_s": [-0.1, 3601, "1", None, True],
    "max_sessions": [0, 2**64, "1"],
    "session_timeout_s": [0, 1e300, "60"],
    "memory_limit_mb": [15, 2**63],
    "environment": [["a"], {"A B": "x"}, {"A": 5}, {"": "x"}, {"A": None}, None, {"1": "x"}],
    "config": [5, None, {"foo": 1}, {"max_sessions": 0}],
    "status": ["running"],
    "service_id": ["x"],
    "x" * 200: [1],
}


@pytest.mark.parametrize("field", WRONG, ids=lambda field: field[:20])
def test_a_wrong_value_is_refused_by_the_name_of_its_field(
    client: Client, echo: Service, field: str
) -> None:
    for value in WRONG[field]:
        body = NEW | {field: value}
        if field == "url":
            del body["agent_factory_path"]
        created = client.post("services", body)
        changed = client.patch("services/echo", {field: value})
        for answer in (created, changed):
            assert (answer.status, answer.code) == (400, "invalid"), value
            named = answer.json["field"].partition(".")[0]
            assert named == field[:100], value
            assert len(answer.body) < 2000
    assert Service.objects.count() == 1


def test_several_wrong_fields_are_all_named(client: Client) -> None:
    answer = client.post("services", {"name": "a\0", "port": 0, "config": {"max_sessions": 0}})
    assert set(answer.json["fields"]) == {"name", "port", "config.max_sessions"}
    assert "field" not in answer.json


def test_a_flood_of_wrong_fields_is_answered_shortly(client: Client) -> None:
    body = {f"{number}{'x' * 200}": 1 for number in range(1000)}
    answer = client.post("services", body)
    assert answer.status == 400 and len(answer.json["fields"]) == 20


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'"text"',
        b"null",
        b"5",
    ],
)
def test_a_body_that_describes_no_service_is_refused(client: Client, body: bytes) -> None:
    answer = client.ask("POST", "services", body, content_type="application/json")
    assert (answer.status, answer.code) == (400, "invalid")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'name': 1}",
        b'{"name": NaN}',
        b'{"port": Infinity}',
        b'{"port": 1e999}',
        b'{"name": "\\ud800"}',
        b'{"name": "\xed\xa0\x80"}',
        b"\xff\xfe{\x00}\x00",
        b"[" * 100_000,
        b'{"name": "a"} {}',
        b"\x00",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_that_is_no_json_is_refused(client: Client, body: bytes) -> None:
    answer = client.ask("POST", "services", body)
    assert (answer.status, answer.code) == (400, "invalid_json")


async def test_a_body_in_chunks_is_read(client: Client) -> None:
    chunks = (b'{"name": "billing",', b' "url": "ws://localhost:1/"}')
    answer = await client.stream("POST", "services", chunks)
    assert answer.status == 201


async def test_a_body_that_is_too_large_is_refused(client: Client, settings: Any) -> None:
    chunk = b" " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 4)
    answer = await client.stream("POST", "services", [chunk] * 5)
    assert (answer.status, answer.code) == (413, "too_large")
    answer = await client.ask_async("POST", "services", chunk * 5)
    assert (answer.status, answer.code) == (413, "too_large")


@pytest.mark.parametrize("kind", ["application/jsonx", "text/json", "application/json, text/plain"])
def test_only_json_is_read(client: Client, kind: str) -> None:
    answer = client.ask("POST", "services", b"{}", content_type=kind)
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


def test_a_body_of_no_kind_is_refused(client: Client) -> None:
    assert client.ask("POST", "services", b"{}", content_type="").status == 415


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_may_say_its_charset(client: Client, kind: str) -> None:
    answer = client.ask("POST", "services", b'{"name":"a","url":"ws://a/"}', content_type=kind)
    assert answer.status == 201


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "services"),
        ("POST", "services/echo"),
        ("GET", "services/echo/start"),
        ("OPTIONS", "services"),
        ("TRACE", "services"),
        ("POST", "stats"),
        ("BREW", "info"),
    ],
)
def test_a_method_that_is_not_offered_says_which_are(
    client: Client, method: str, path: str
) -> None:
    answer = client.ask(method, path)
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["allow"]
    assert method not in answer.headers["allow"].split(", ")


@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/v1/service",
        "/api/v1/services/",
        "/api/v1/services/echo/",
        "/api/v1/services/echo/fly",
        "/api/v2/services",
        "/api/v1/services/../../etc/passwd",
        "/api/v1/services/a\0b/x",
    ],
)
def test_nothing_is_elsewhere(client: Client, path: str) -> None:
    for method in ("GET", "POST"):
        answer = client.ask(method, path)
        assert answer.status == 404
        assert answer.code == "not_found"


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "name", ["none", "\0", "a\0b", "\N{REPLACEMENT CHARACTER}", "x" * 5000, ".", "🦜"]
)
def test_an_unknown_service_is_not_found(client: Client, name: str) -> None:
    for what in ("", "/stats", "/health", "/instances", "/logs"):
        answer = client.get(f"services/{name}{what}")
        assert (answer.status, answer.code) == (404, "unknown_service")
        assert len(answer.body) < 2000


def test_a_name_is_not_shown_as_markup(client: Client) -> None:
    answer = client.get("services/<script>alert(1)<")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_a_lost_database_is_said(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lost(*_: Any) -> None:
        raise OperationalError("server has gone away at 10.0.0.5")

    monkeypatch.setattr(registry, "find", lost)
    answer = client.get("services/echo")
    assert (answer.status, answer.code) == (503, "storage_unavailable")
    assert answer.headers["retry-after"] == "5"
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]
    assert b"10.0.0.5" not in answer.body


def test_a_mistake_of_ours_is_logged_and_not_shown(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("a secret")

    monkeypatch.setattr(registry, "find", broken)
    answer = client.get("services/echo")
    assert (answer.status, answer.code) == (500, "internal_error")
    assert b"secret" not in answer.body


def test_errors_are_said_in_the_language_that_is_asked_for(client: Client) -> None:
    answer = client.get("services/echo/start", accept_language="zh-CN")
    assert not answer.json["detail"].isascii()
