"""Logging: structured events, readable in a terminal, JSON lines elsewhere."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from io import TextIOWrapper
from typing import Any, Literal

import structlog

from agents.runtime.limits import Seldom

CHATTY = [
    "asyncio",
    "axes",
    "django.db",
    "filelock",
    "httpcore2",
    "httpx2",
    "openai",
    "uvicorn",
    "websockets",
]
"""Loggers whose lines are shown from warnings on."""

Form = Literal["console", "json"]

REFUSING = ("django.request", "django.security")
"""Loggers that have a warning for each request that is answered with 4xx."""


OUTAGE = "storage_away"
"""The event that everything tells that needs the database, while that is away."""


class SeldomLines(logging.Filter):
    """Leaves out most lines about refused requests, of which anybody can cause any number, and
    about a database that is away, of which everything tells that needs it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._refusals = Seldom()
        self._unavailable = Seldom()
        self._outages = Seldom()

    def filter(self, record: logging.LogRecord) -> bool:
        seldom = self._of(record)
        if seldom is None:
            return True
        # It passes once for each place that lines go to.
        if not hasattr(record, "is_left_out"):
            left_out = seldom.take()
            record.__dict__["is_left_out"] = left_out is None
            if left_out:
                _tell(record, left_out)
        return not record.__dict__["is_left_out"]

    def _of(self, record: logging.LogRecord) -> Seldom | None:
        if record.levelno > logging.WARNING:
            return None
        if record.name.startswith(REFUSING):
            is_ours = getattr(record, "status_code", 0) >= 500
            return self._unavailable if is_ours else self._refusals
        is_outage = isinstance(record.msg, dict) and record.msg.get("event") == OUTAGE
        return self._outages if is_outage else None


def _tell(record: logging.LogRecord, left_out: int) -> None:
    """Adds the number of lines that were left out before this one."""
    if isinstance(record.msg, dict):
        record.msg["left_out"] = left_out + record.msg.get("left_out", 0)
    else:
        record.msg, record.args = "%s (left_out=%d)", (record.getMessage(), left_out)


class LogFile(logging.handlers.WatchedFileHandler):
    """A file that several processes add whole lines to, and that another program may rotate."""

    def __init__(self, path: str) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self._failures = Seldom(pause_s=60.0, at_once=1)

    def _open(self) -> TextIOWrapper:
        """Lines may quote what clients sent: a file that is made is its owner's alone."""
        return open(
            self.baseFilename, "a", encoding=self.encoding, errors=self.errors, opener=_owners_alone
        )

    def handleError(self, record: logging.LogRecord) -> None:
        """A disk that is full costs lines of the file, and neither requests nor the other log."""
        if self._failures.take() is not None:
            error = sys.exc_info()[1]
            sys.stderr.write(f"{self.baseFilename} takes no more lines: {error}\n")


def _owners_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def set_up_for_commands() -> None:
    """The log of commands that do not serve: warnings and errors alone, on standard error.

    Standard output belongs to what the command tells.
    """
    set_up("WARNING")


def set_up(level: str, file: str = "") -> None:
    """Sends all logging, structlog's and the standard library's, to standard error.

    And to a file as JSON, if there is one. Raises `OSError` if that can't be opened.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    written: list[tuple[Form, logging.Handler]] = [(form(), logging.StreamHandler(sys.stderr))]
    if file:
        written.append(("json", LogFile(file)))
    root, seldom = logging.getLogger(), SeldomLines()
    for form_, handler in written:
        handler.addFilter(seldom)
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=shared,
                processors=[
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *_renderer(form_),
                ],
            )
        )
    root.handlers[:] = [handler for _, handler in written]
    root.setLevel(level.upper())
    # They log connections rather than agents.
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger(name).level))


PARENTS = {
    "services": "myagent.manager",
    "agents": "myagent.server",
    "traces": "myagent.server",
    "myagent_site": "myagent.server",
}
"""The names by which programs and settings know the loggers of the site's packages."""


def join_loggers() -> None:
    """Routes the log records of the site's packages through the loggers with the SDK's names.

    The levels, handlers and filters of those loggers apply to them.
    """
    for package, known in PARENTS.items():
        logging.getLogger(package).parent = logging.getLogger(known)


def hand_over() -> None:
    """Leaves logging to the program that embeds us, through the standard library's handlers.

    Does nothing if the program uses structlog itself.
    """
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def is_debug() -> bool:
    """Whether every step is logged, and clients may be told causes."""
    return logging.getLogger().isEnabledFor(logging.DEBUG)


def form() -> Form:
    """The format that `set_up` gives to lines."""
    return "console" if sys.stderr.isatty() else "json"


def _renderer(form_: Form) -> list[Any]:
    if form_ == "console":
        # The default one prints the values of variables, and these may include keys.
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(exception_formatter=plain)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
