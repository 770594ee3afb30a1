"""Health, for load balancers and people."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse

from agents.runner import current_runner
from myagent.protocol import timestamp


async def health(request: HttpRequest) -> JsonResponse:
    """Whether the process is well: 200, or 503 when it can't do its work just now."""
    runner = current_runner()
    report: dict[str, Any] = {"status": "healthy", "active_connections": 0, "active_sessions": 0}
    if runner is not None:
        report |= runner.health()
    status = 200 if report["status"] == "healthy" else 503
    return JsonResponse(report | {"timestamp": timestamp()}, status=status)
