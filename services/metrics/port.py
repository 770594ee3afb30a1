"""A port of its own for Prometheus, so that it needs neither the site's address nor a token."""

from __future__ import annotations

import asyncio
import errno
from wsgiref.simple_server import WSGIServer

import structlog
from django.conf import settings
from prometheus_client import start_http_server

from agents.chores import Chore
from agents.runtime.database import DatabaseThreads
from services.metrics.exposition import registry
from services.metrics.patience import PatientStanding

logger = structlog.get_logger(__name__)

AGAIN_S = 15.0
"""Seconds after which a port in use is tried again: of several processes one has it, and another
takes over.
"""


async def _serve(database: DatabaseThreads) -> None:
    """As long as the server lives."""
    if not settings.MYAGENT_METRICS_PORT:
        await asyncio.Event().wait()
    address = (settings.MYAGENT_METRICS_PORT, settings.MYAGENT_METRICS_HOST)
    try:
        server, thread = start_http_server(*address, registry=registry(PatientStanding()))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            logger.info("metrics_port_in_use", port=address[0])
        else:
            logger.warning("metrics_port_not_open", port=address[0], error=str(error))
        return
    logger.info("metrics_at", port=address[0], host=address[1])
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.to_thread(_stop, server, thread)


def _stop(server: WSGIServer, thread: object) -> None:
    server.shutdown()
    server.server_close()


METRICS = Chore(AGAIN_S, _serve)
