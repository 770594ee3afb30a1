"""The worker's own log: lines on standard error. The agent's logging is left alone."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime


class _Lines(logging.Formatter):
    """`2026-11-28T10:00:00.000Z warning  event key=value`"""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def formatMessage(self, record: logging.LogRecord) -> str:
        return f"{record.asctime} {record.levelname.lower():8} {record.message}"

    def usesTime(self) -> bool:
        return True


def set_up(level: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logger = logging.getLogger("myagent.worker")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
