"""OpenTelemetry's settings mean what they mean elsewhere; wrong ones are said before a start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import LazySettings

from agents.runs.worker_process import environment_for
from tests.runners import ROOT
from traces.checks import check_export
from traces.exporting import destination

KEY = "hunter2"


@pytest.fixture(autouse=True)
def sending(settings: LazySettings) -> None:
    settings.MYAGENT_TRACE_EXPORT = True
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = "http://localhost:4318"


@pytest.mark.parametrize(
    ("base", "whole", "url"),
    [
        ("http://localhost:4318", "", "http://localhost:4318/v1/traces"),
        (
            "https://one.example/api/public/otel/",
            "",
            "https://one.example/api/public/otel/v1/traces",
        ),
        ("http://localhost:4318", "http://[::1]:6006/t?k=1", "http://[::1]:6006/t?k=1"),
    ],
)
def test_the_address(settings: LazySettings, base: str, whole: str, url: str) -> None:
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = base
    settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = whole
    assert destination.configured().url == url
    assert check_export() == []


def test_headers_of_traces_replace_the_others(settings: LazySettings) -> None:
    settings.OTEL_EXPORTER_OTLP_HEADERS = f"authorization=Basic {KEY}==, x-scope = a%2Cb ,"
    assert destination.configured().headers == {
        "authorization": f"Basic {KEY}==",
        "x-scope": "a,b",
    }
    settings.OTEL_EXPORTER_OTLP_TRACES_HEADERS = "api-key=1"
    assert destination.configured().headers == {"api-key": "1"}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", f"otel.example:4318/{KEY}", "must be an address"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://:{KEY}@/", "must be an address"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a:99999/", "must be an address"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://a/", "must be an address"),
        ("OTEL_EXPORTER_OTLP_HEADERS", f"a=b,{KEY}", "part 2 is not"),
        ("OTEL_EXPORTER_OTLP_HEADERS", f"a b={KEY}", "that can't be sent"),
        ("OTEL_EXPORTER_OTLP_HEADERS", f"a={KEY}%0d%0ab: c", "that can't be sent"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "must be http/protobuf"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "must be none or gzip"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem", "can't be read: No such file"),
        ("OTEL_RESOURCE_ATTRIBUTES", KEY, "part 1 is not"),
        ("OTEL_TRACES_EXPORTER", ["console"], "must be otlp or none"),
        ("OTEL_TRACES_EXPORTER", ["otlp", "zipkin"], "must be otlp or none"),
    ],
)
def test_a_wrong_one_is_said_without_what_may_be_secret(
    settings: LazySettings, name: str, value: str | list[str], sentence: str
) -> None:
    setattr(settings, name, value)
    (error,) = check_export()
    assert name in error.msg and sentence in error.msg
    assert KEY not in error.msg
    settings.MYAGENT_TRACE_EXPORT = False
    assert check_export() == []


@pytest.mark.parametrize("exporters", [[], ["otlp"], [" OTLP "]])
def test_the_exporter_is_this_one(settings: LazySettings, exporters: list[str]) -> None:
    settings.OTEL_TRACES_EXPORTER = exporters
    assert check_export() == []


def test_packages_that_are_missing_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destination, "find_spec", lambda _: None)
    (error,) = check_export()
    assert "myagent-site[otel]" in error.msg


def test_of_the_site_s_headers_no_worker_gets_any_but_it_may_have_its_own(
    tmp_path: Path, settings: LazySettings
) -> None:
    settings.VAR_DIR = tmp_path / "var"
    settings.FROM_ENV_FILE = frozenset()
    settings.MYAGENT_PASS_ENV = ["OTEL_EXPORTER_OTLP_HEADERS"]
    of_site = {
        "OTEL_EXPORTER_OTLP_HEADERS": KEY,
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": KEY,
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318",
    }
    file = str(tmp_path / "agent.py")
    found = environment_for(file, of_site)
    assert KEY not in found.values() and "OTEL_EXPORTER_OTLP_ENDPOINT" in found
    given = environment_for(file, of_site, {"OTEL_EXPORTER_OTLP_HEADERS": "its own"})
    assert given["OTEL_EXPORTER_OTLP_HEADERS"] == "its own"
    (tmp_path / ".env").write_text("OTEL_EXPORTER_OTLP_TRACES_HEADERS=own\n")
    assert environment_for(file, of_site)["OTEL_EXPORTER_OTLP_TRACES_HEADERS"] == "own"


@pytest.mark.parametrize(
    ("environment", "is_sending"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, True),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318",
                "OTEL_TRACES_EXPORTER": "none",
            },
            False,
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_TRACES_EXPORTER": ""},
            True,
        ),
    ],
)
def test_an_endpoint_switches_it_on_and_without_one_nothing_is_imported(
    tmp_path: Path, environment: dict[str, str], is_sending: bool
) -> None:
    code = (
        "import sys, django; django.setup();"
        "from django.core.management import call_command; call_command('check');"
        "from agents import chores; from agents.log import recorders;"
        "chores.configured(), recorders.configured();"
        "from django.conf import settings;"
        "from traces.recording.refreshing import recorder;"
        "is_sent = 'traces.exporting.sending.SENDING' in settings.MYAGENT_CHORES;"
        "print(is_sent, recorder()._is_sent,"
        " any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "myagent_site.settings",
            "DATABASE_URL": f"sqlite:///{tmp_path / 'site.db'}",
            "MYAGENT_ENV_FILE": os.devnull,
        }
        | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout.strip().splitlines()[-1].split()
    assert said[:2] == [str(is_sending)] * 2
    if not is_sending:
        assert said[2] == "False"
