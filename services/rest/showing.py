"""A service as a client of the REST interface may see it."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from services import access
from services.models import Service
from services.routing.endpoints import site_of, without_secrets
from services.views.describing import service_json

CHANGE = "services.change_service"


def shown(request: Request, service: Service, *given: Any, looks_at_port: bool = True) -> Any:
    """See `service_json`. Only who may change it sees what its address says to the other end."""
    whole = service_json(service, site_of(request), *given, looks_at_port=looks_at_port)
    if whole["url"] and not access.may(request, CHANGE):
        whole["url"] = without_secrets(whole["url"])
    return whole
