"""Loggers: by which names programs know ours."""

from __future__ import annotations

import logging

import pytest
import structlog


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
