"""A port of its own for Prometheus, so that it needs neither the site's address nor a token."""

from __future__ import annotations

import asyncio
import errno
import threading

import structlog
from django.conf import settings
from prometheus_client import make_wsgi_app

from agents.chores import Chore
from agents.runtime.database import DatabaseThreads
from services.metrics.exposition import registry
from services.metrics.patience import PatientStanding
from services.metrics.web import MetricsServer, served

logger = structlog.get_logger(__name__)

AGAIN_S = 15.0
"""Seconds after which a port in use is tried again: of several processes one has it, and another
takes over.
"""


class MetricsPort:
    """What a server knows of the port from one try to the next: why it was refused."""

    def __init__(self) -> None:
        self._refusal = ""

    async def serve(self, database: DatabaseThreads) -> None:
        """As long as the server lives, or until the port is refused."""
        if not settings.MYAGENT_METRICS_PORT:
            await asyncio.Event().wait()
        host, port = settings.MYAGENT_METRICS_HOST, settings.MYAGENT_METRICS_PORT
        try:
            server = served(host, port, make_wsgi_app(registry(PatientStanding())))
        except OSError as error:
            self._note_refusal(error, port)
            return
        self._refusal = ""
        logger.info("metrics_at", port=port, host=host)
        serving = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        serving.start()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(_stop, server)

    def _note_refusal(self, error: OSError, port: int) -> None:
        """Once: another server of the machine may have the port for months."""
        if str(error) == self._refusal:
            return
        self._refusal = str(error)
        if error.errno == errno.EADDRINUSE:
            logger.info("metrics_port_in_use", port=port)
        else:
            logger.warning("metrics_port_not_open", port=port, error=str(error))


def _stop(server: MetricsServer) -> None:
    server.shutdown()
    server.server_close()


METRICS = Chore(AGAIN_S, MetricsPort().serve)
