"""The log of the worker and its SDK: lines on standard error.

The agent's own logging is left alone.

A message is an event's name and its fields, `"ready file=%r pid=%d"`. A server whose standard error
the worker shares sets the format to its own.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import Any, Literal

Form = Literal["lines", "json", "console"]

# From the beginning of a word alone: a long one, in a message of anybody's, is read once.
_FIELD = re.compile(r"(?<!\w)(?P<name>\w+)=(?:%(?P<kind>[rsd])|'(?P<text>[^']*)')")


_COLOURS = {"error": "31", "warning": "33", "info": "32", "debug": "32"}


class _Formatter(logging.Formatter):
    """`2026-11-28T10:00:00.000Z warning  event key=value`"""

    timespec = "milliseconds"
    shows_all = False
    """Whether the traceback is shown of a record whose line says all that a log needs."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        return at.isoformat(timespec=self.timespec).replace("+00:00", "Z")

    def formatMessage(self, record: logging.LogRecord) -> str:
        return f"{record.asctime} {record.levelname.lower():8} {record.message}"

    def usesTime(self) -> bool:
        return True

    def format(self, record: logging.LogRecord) -> str:
        if not self.shows_all and getattr(record, "is_complete", False):
            return super().format(_without_traceback(record))
        return super().format(record)


class _Json(_Formatter):
    """One object a line, with the keys that a server's own lines have."""

    timespec = "microseconds"

    def format(self, record: logging.LogRecord) -> str:
        event, fields = _event_of(record)
        about = {
            "event": event,
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": self.formatTime(record),
        }
        if record.exc_info:
            about["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields | about, ensure_ascii=False, default=repr)


class _Console(_Formatter):
    """`2026-11-28T10:00:00.000000Z [warning  ] event      [logger] key=value`, in colours."""

    timespec = "microseconds"
    shows_all = True

    def formatMessage(self, record: logging.LogRecord) -> str:
        event, fields = _event_of(record)
        level = record.levelname.lower()
        parts = [
            _coloured("2", record.asctime),
            f"[{_coloured(_COLOURS.get(level, '31'), f'{level:9}')}]",
            _coloured("1", f"{event:30}"),
            f"[{_coloured('34', record.name)}]",
            *(
                f"{_coloured('36', name)}={_coloured('35', _readable(value))}"
                for name, value in sorted(fields.items())
            ),
        ]
        return " ".join(parts)


FORMATTERS: dict[Form, Callable[[], logging.Formatter]] = {
    "lines": _Formatter,
    "json": _Json,
    "console": _Console,
}


class _File(WatchedFileHandler):
    """Its server tells when the file takes no more lines."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def set_up(level: int, form: Form = "lines", file: str = "") -> None:
    """`file`: to which lines are added as JSON as well. Raises `OSError` if it can't be opened."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setFormatter(FORMATTERS[form]())
    if file:
        handlers.append(_File(file, encoding="utf-8", errors="backslashreplace"))
        handlers[1].setFormatter(_Json())
    logger = logging.getLogger("myagent")
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logger.propagate = False


def _without_traceback(record: logging.LogRecord) -> logging.LogRecord:
    bare = copy(record)
    bare.exc_info = bare.exc_text = None
    return bare


def _event_of(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """The event's name and its fields; a message of another make is all event."""
    template = str(record.msg)
    found = list(_FIELD.finditer(template))
    values = iter(record.args if isinstance(record.args, tuple) else ())
    end = found[0].start() if found else len(template)
    if sum(match["kind"] is not None for match in found) != len(record.args or ()):
        return record.getMessage(), {}
    fields = {match["name"]: next(values) if match["kind"] else match["text"] for match in found}
    return template[:end].rstrip(), fields | getattr(record, "fields", {})


def _coloured(code: str, text: str) -> str:
    return text if os.environ.get("NO_COLOR") else f"\x1b[{code}m{text}\x1b[0m"


def _readable(value: object) -> str:
    """Bare where that is plain, else quoted."""
    text = str(value)
    return text if re.fullmatch(r"[^\s'\"=]+", text) else repr(text)
