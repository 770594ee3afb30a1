"""The server's log on a terminal, and the names by which programs know our loggers."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
import structlog

from agents.runtime import limits, logs


def test_a_terminal_is_shown_no_values_of_variables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configured: dict[str, Any] = structlog.get_config()
    monkeypatch.setattr(logs, "form", lambda: "console")
    try:
        logs.set_up("INFO")
        fail("sk-secret")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.configure(**configured)
    shown = capsys.readouterr().err
    assert "ZeroDivisionError" in shown
    assert "sk-secret" not in shown
    assert len(shown.splitlines()) < 10


def test_a_log_file_that_is_made_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        logs.LogFile(str(tmp_path / "site.log")).close()
    finally:
        os.umask(before)
    assert (tmp_path / "site.log").stat().st_mode & 0o777 == 0o600


def fail(key: str) -> None:
    try:
        len(key) / 0
    except ZeroDivisionError:
        structlog.get_logger("tested").exception("it_failed")


@pytest.mark.parametrize(
    ("known", "ours"),
    [
        ("myagent.manager", "services.supervision.supervisor"),
        ("myagent.manager", "services.rest.errors"),
        ("myagent.server", "agents.runs.execution"),
        ("myagent", "services.supervision.supervisor"),
        ("myagent", "myagent_site.feed"),
    ],
)
def test_what_we_log_passes_the_loggers_that_people_know(known: str, ours: str) -> None:
    heard: list[logging.LogRecord] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record)

    logger, ear = logging.getLogger(known), Ear()
    level = logger.level
    logger.addHandler(ear)
    logger.setLevel(logging.DEBUG)
    try:
        structlog.stdlib.get_logger(ours)
        logging.getLogger(ours).debug("below the root's level")
    finally:
        logger.removeHandler(ear)
        logger.setLevel(level)
    assert [record.name for record in heard] == [ours]


def test_refused_requests_do_not_fill_the_log() -> None:
    handler = logs.SeldomLines()

    def passes(name: str, level: int) -> bool:
        return bool(handler.filter(logging.LogRecord(name, level, "", 0, "%s", ("x",), None)))

    refused = [passes("django.request", logging.WARNING) for _ in range(1000)]
    assert refused[0]
    assert sum(refused) < 20
    assert not passes("django.security.csrf", logging.WARNING)
    assert passes("django.request", logging.ERROR), "what fails here is always told"
    assert passes("agents.runs", logging.WARNING)


def test_the_line_after_those_left_out_has_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs.Seldom, "take", lambda _: 7)
    record = logging.LogRecord("django.request", logging.WARNING, "", 0, "No: %s", ("/x",), None)
    assert logs.SeldomLines().filter(record)
    assert record.getMessage() == "No: /x (left_out=7)"


def test_a_database_that_is_away_does_not_fill_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configured: dict[str, Any] = structlog.get_config()
    monkeypatch.setattr(logs, "form", lambda: "json")
    clock = [0.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: clock[0])
    try:
        logs.set_up("INFO")
        for number in range(100):
            structlog.get_logger(f"tested_{number % 7}").warning("storage_away", error="gone")
        structlog.get_logger("tested").warning("something_else")
        clock[0] += 10
        structlog.get_logger("tested").warning("storage_away", error="gone", left_out=3)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.configure(**configured)
    written = list(map(json.loads, capsys.readouterr().err.splitlines()))
    assert [line["event"] for line in written] == [
        *["storage_away"] * 5,
        "something_else",
        "storage_away",
    ]
    assert written[-1]["left_out"] == 95 + 3
    assert written[-1]["error"] == "gone"
