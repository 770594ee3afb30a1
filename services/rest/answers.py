"""Documentation of the operations: their response statuses, and examples."""

from __future__ import annotations

from typing import Any

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from services.rest.documents import ErrorSerializer, ServiceSerializer

ID = OpenApiParameter(
    "id",
    {"type": "string", "minLength": 1, "maxLength": 100},
    OpenApiParameter.PATH,
    description="The service_id, or the name.",
    examples=[OpenApiExample("A name", "weather")],
)


class BearerTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes API tokens to the documentation generator."""

    target_class = "services.rest.base.BearerToken"
    name = "tokenAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class SessionLoginScheme(SessionScheme):  # type: ignore[no-untyped-call]
    """Describes the login to the documentation generator."""

    target_class = "services.rest.base.SessionLogin"


Error = tuple[str, str, str]

ERRORS: dict[int, Error] = {
    400: ("The request is not valid.", "invalid", "port: Ensure this value is at most 65535."),
    401: (
        "A login is needed.",
        "not_authenticated",
        "Authentication credentials were not provided.",
    ),
    403: (
        "The login has not the permission, or the page that asks is another site's.",
        "permission_denied",
        "You need the permission 'Can start, stop and restart services' "
        "(services.control_service).",
    ),
    404: ("There is no such service.", "unknown_service", "There is no service 'weather'."),
    409: (
        "Not in the state that things are in.",
        "name_taken",
        "There is a service 'weather' already; choose another name.",
    ),
    413: ("The body is larger than 1 MiB.", "too_large", "The request is too large."),
    415: (
        "The body must be `application/json`.",
        "unsupported_media_type",
        'Unsupported media type "text/plain" in request.',
    ),
    503: (
        "The database, or a supervisor, is not there. What needs a supervisor changes nothing.",
        "no_supervisor",
        "No supervisor is running, so nothing happens yet. Start one with: manage.py supervise",
    ),
}

READ = (401, 403, 503)
READ_ONE = (*READ, 404)
CREATE = (400, 401, 403, 409, 413, 415, 503)
CHANGE = (*CREATE, 404)

WEATHER: dict[str, Any] = {
    "service_id": "019aa2f3-58d1-7c1e-8f60-3d0d5a2be913",
    "name": "weather",
    "description": "Knows the weather.",
    "agent_factory_path": "/srv/agents/ws_weather_agent.py",
    "url": "",
    "host": "localhost",
    "port": 8081,
    "own_port_error": "",
    "endpoint": "ws://localhost:8081/",
    "tags": ["demo"],
    "status": "running",
    "desired": "running",
    "replicas": 1,
    "weight": 1,
    "auto_start": True,
    "created_at": "2026-11-21T08:00:00.000Z",
    "started_at": "2026-11-21T08:00:01.200Z",
    "last_health_check": "2026-11-21T08:05:01.200Z",
    "error_message": "",
    "restart_count": 0,
    "config": {
        "max_sessions": None,
        "session_timeout_s": None,
        "auto_restart": True,
        "max_restart_count": 5,
        "restart_delay_s": 1.0,
        "memory_limit_mb": 512,
        "python": "",
    },
}

NEW_SERVICE = OpenApiExample(
    "An agent file",
    {
        "name": "weather",
        "agent_factory_path": "ws_weather_agent.py",
        "description": "Knows the weather.",
        "tags": ["demo"],
        "port": 8081,
        "memory_limit_mb": 512,
        "environment": {"OPENAI_MODEL": "gpt-5"},
    },
    request_only=True,
)
EXTERNAL_SERVICE = OpenApiExample(
    "A service elsewhere",
    {"name": "billing", "url": "wss://billing.example.com/ws"},
    request_only=True,
)
CHANGED_SERVICE = OpenApiExample("More replicas", {"replicas": 2}, request_only=True)

Responses = dict[int, Any]


def refusals(*statuses: int) -> Responses:
    return {status: refusal_of(status, *ERRORS[status]) for status in statuses}


def the_service(description: str, status: str = "running") -> OpenApiResponse:
    example = OpenApiExample("Weather", WEATHER | {"status": status}, response_only=True)
    return OpenApiResponse(ServiceSerializer, description, [example])


def refusal_of(status: int, description: str, code: str, sentence: str) -> OpenApiResponse:
    error: dict[str, Any] = {"detail": sentence, "code": code}
    if status == 400 and code == "invalid":
        error |= {"field": "port", "fields": {"port": sentence.partition(": ")[2]}}
    example = OpenApiExample(code, error, response_only=True, status_codes=[str(status)])
    return OpenApiResponse(ErrorSerializer, description, [example])
