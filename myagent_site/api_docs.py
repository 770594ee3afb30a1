"""The REST interface described: OpenAPI, and pages to browse and try it."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from django.utils import translation
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from myagent_site.pages import PAGE_HEADERS, content_security_policy
from services.rest import errors
from services.rest.base import BearerToken, SessionLogin

HEADERS = PAGE_HEADERS | {
    # Pages on other ports must not read its scripts: one contains the CSRF token.
    "Cross-Origin-Resource-Policy": "same-origin",
    # The pages are English only.
    "Vary": "Cookie",
}


class IsKnown(BasePermission):
    """With `MYAGENT_AUTH=token`, whoever has an account or a token, whatever that is good for."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return settings.MYAGENT_AUTH != "token" or bool(request.user.is_authenticated)


@extend_schema(exclude=True)
class SchemaView(SpectacularAPIView):
    """The schema as JSON, or as YAML if asked for. Nothing in it is secret."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer]  # noqa: RUF012
    authentication_classes = (BearerToken, SessionLogin)
    permission_classes = (IsKnown,)

    def get_exception_handler(self) -> Any:
        return errors.answer

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(_schema(), headers={"Cache-Control": "no-cache"})


@cache
def _schema() -> dict[str, Any]:
    """Generated once, as it takes a while."""
    generator: Any = SchemaGenerator
    with translation.override("en"):
        schema: dict[str, Any] = generator().get_schema(request=None, public=True)
    return schema


@extend_schema(exclude=True)
class DocsView(SpectacularSwaggerSplitView):
    authentication_classes = ()
    permission_classes = ()
    template_name = "api_docs.html"
    url_name = "schema"

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        response.data["base"] = settings.MYAGENT_BASE_PATH
        policy = {"Content-Security-Policy": content_security_policy(request._request)}
        for name, value in (HEADERS | policy).items():
            response[name] = value
        return response


def say_what_holds_everywhere(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Completes the schema: requests have known fields only, and a login is not always required."""
    for name, component in result["components"]["schemas"].items():
        if name.endswith("Request"):
            component["additionalProperties"] = False
        if name == "ServiceInputRequest":
            component["oneOf"] = [
                _only("agent_factory_path", "url"),
                _only("url", "agent_factory_path"),
            ]
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["security"].append({})
    return result


def _only(given: str, empty: str) -> dict[str, Any]:
    """A service has an agent file or an address, and never both."""
    return {
        "required": [given],
        "properties": {given: {"minLength": 1}, empty: {"maxLength": 0}},
    }
