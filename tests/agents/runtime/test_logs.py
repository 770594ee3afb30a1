"""The server's log on a terminal."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import structlog

from agents.runtime import logs


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


def fail(key: str) -> None:
    try:
        len(key) / 0
    except ZeroDivisionError:
        structlog.get_logger("tested").exception("it_failed")
