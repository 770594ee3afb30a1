"""Health, for load balancers and people."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.db import Error as DatabaseFailure
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext

from agents.runtime.explaining import explain
from agents.serving import server_of
from myagent.protocol import timestamp

logger = structlog.get_logger(__name__)

READY_TIMEOUT_S = 5.0


async def health(request: HttpRequest) -> JsonResponse:
    """Whether the process is healthy: 200, or 503 if it can't do its work at present.

    A site with some unhealthy agents works, though it is `degraded`: a load balancer must not
    remove it for the clients of the others.
    """
    server = server_of(request)
    report: dict[str, Any] = {"status": "healthy", "active_connections": 0, "active_sessions": 0}
    if server is not None:
        report |= server.health()
    is_able = report.pop("able", True)
    return JsonResponse(report | {"timestamp": timestamp()}, status=200 if is_able else 503)


async def ready(request: HttpRequest) -> JsonResponse:
    """Whether the site can be used: 200, or 503 while its database does not answer."""
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            await sync_to_async(_ask_the_database, thread_sensitive=False)()
    except (DatabaseFailure, TimeoutError) as error:
        logger.warning("storage_away", error=explain(error))
        report = {
            "status": "unavailable",
            "detail": gettext("The database does not answer."),
            "code": "storage_unavailable",
        }
        return JsonResponse(report | {"timestamp": timestamp()}, status=503)
    return JsonResponse({"status": "ready", "timestamp": timestamp()})


def _ask_the_database() -> None:
    # On its own connection: this thread is shared, and may outlive the time-out.
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM services_service WHERE 1 = 0")
    finally:
        connection.close()
