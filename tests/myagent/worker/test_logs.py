"""The worker's own log, in the form of the server that it shares standard error with."""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any

import pytest
import structlog

from myagent.worker.logs import FORMATTERS, Form

Logged = tuple[str, tuple[Any, ...], str, dict[str, Any]]

LOGGED: dict[str, Logged] = {
    "fields": (
        "ready file=%r instance=%r pid=%d",
        ("/a b/天气.py", "i1", 7),
        "ready",
        {"file": "/a b/天气.py", "instance": "i1", "pid": 7},
    ),
    "a fixed field": ("ended reason='threads run on'", (), "ended", {"reason": "threads run on"}),
    "no field": ("too_many_links", (), "too_many_links", {}),
    "a sentence": ("an agent failed to tidy up", (), "an agent failed to tidy up", {}),
    "another form": ("%s of %s", (1, 2), "1 of 2", {}),
    "one long word": ("a" * 500_000, (), "a" * 500_000, {}),
}


def written(
    form: Form,
    message: str,
    *args: object,
    failure: BaseException | None = None,
    is_complete: bool = False,
) -> str:
    error = None if failure is None else (type(failure), failure, None)
    record = logging.LogRecord(
        "myagent.worker.x", logging.WARNING, __file__, 1, message, args, error
    )
    record.is_complete = is_complete
    return FORMATTERS[form]().format(record)


@pytest.mark.parametrize(("message", "args", "event", "fields"), LOGGED.values(), ids=LOGGED)
def test_json_says_the_event_and_its_fields(
    message: str, args: tuple[Any, ...], event: str, fields: dict[str, Any]
) -> None:
    found = json.loads(written("json", message, *args))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z", found.pop("timestamp"))
    about = {"event": event, "level": "warning", "logger": "myagent.worker.x"}
    assert found == fields | about


def test_json_keeps_a_traceback_in_its_line() -> None:
    (line,) = written("json", "not_prepared", failure=ValueError("no key")).splitlines()
    assert "ValueError: no key" in json.loads(line)["exception"]


@pytest.mark.parametrize(("message", "args", "event", "fields"), LOGGED.values(), ids=LOGGED)
def test_a_terminal_shows_what_the_server_s_own_renderer_would(
    message: str, args: tuple[Any, ...], event: str, fields: dict[str, Any]
) -> None:
    shown = re.sub(r"\x1b\[\d+m", "", written("console", message, *args))
    about = {
        "event": event,
        "level": "warning",
        "logger": "myagent.worker.x",
        "timestamp": shown.partition(" ")[0],
    }
    expected = structlog.dev.ConsoleRenderer(colors=False)(sys, "warning", fields | about)
    assert shown.rstrip() == str(expected).rstrip()


def test_without_a_wish_it_is_a_line_for_a_log_file() -> None:
    line = written("lines", "ready pid=%d", 7)
    assert re.fullmatch(r"[-\d]{10}T[:.\d]{12}Z warning  ready pid=7", line)


@pytest.mark.parametrize(("form", "lines"), [("lines", 1), ("json", 1), ("console", 2)])
def test_what_a_line_says_wholly_has_its_traceback_where_a_person_reads(
    form: Form, lines: int
) -> None:
    failure = ValueError("no key")
    shown = written(form, "tool_raised error='no key'", failure=failure, is_complete=True)
    assert len(shown.splitlines()) == lines
    again = written(form, "not_prepared", failure=failure)
    assert "ValueError: no key" in again
