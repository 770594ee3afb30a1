"""What all views of the REST interface share: JSON only, permissions, and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import orjson
from django.contrib.auth.models import User
from django.utils.translation import gettext
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import (
    AuthenticationFailed,
    PermissionDenied,
    UnsupportedMediaType,
)
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from services import access
from services.rest import errors
from services.tokens import judging
from services.tokens.models import Token

JSON = "application/json"


class StrictJSON(BaseParser):
    """Strict JSON: UTF-8, no NaN, no lone surrogates, limited depth."""

    media_type = JSON

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            return orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            said = gettext("The body is not valid JSON: {reason}").format(reason=error)
            raise errors.InvalidBody(said) from error


class OnlyJSON(BaseContentNegotiation):
    """Responses are JSON, whatever is asked for."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return next(iter(renderers)), JSON


class BearerToken(BaseAuthentication):
    """An API token. Where nobody has to log in, the header is not read."""

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        said = access.bearer_in(request._request)
        if said is None or access.is_open(request._request):
            return None
        token = judging.find(said)
        if token is None:
            raise AuthenticationFailed(gettext("The token is not valid."), "unauthenticated")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="site"'


class SessionLogin(SessionAuthentication):
    """A session login of the site, with CSRF protection."""

    def authenticate_header(self, request: Request) -> str:
        return 'Session realm="site"'

    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except PermissionDenied as error:
            raise PermissionDenied(str(error.detail), "csrf_failed") from error


class MayOnServices(BasePermission):
    """Whether the client has the permission that the method, or the whole view, requires.

    `message`: of a refusal; it names what is missing.
    """

    message = ""

    VIEW: ClassVar = "services.view_service"
    BY_METHOD: ClassVar = {
        "POST": "services.add_service",
        "PUT": "services.change_service",
        "PATCH": "services.change_service",
        "DELETE": "services.delete_service",
    }

    def has_permission(self, request: Request, view: APIView) -> bool:
        by_method = self.BY_METHOD.get(request.method or "", self.VIEW)
        permission = getattr(view, "permission", None) or by_method
        if not access.may(request, permission):
            self.message = access.why_not(request, permission)
            return False
        is_about_all = getattr(view, "is_about_all", True) or request.method not in SAFE_METHODS
        if not access.is_within(request, view.kwargs.get("id"), is_about_all=is_about_all):
            self.message = access.why_not_within(request)
            return False
        return True


class View(APIView):
    """The base of the views. `permission`: what is needed whatever the method is.

    `is_about_all`: whether a view without a service's id in its path tells of, or acts on, services
    that a token may not be bound to.
    """

    permission: str | None = None
    is_about_all = True
    authentication_classes = (BearerToken, SessionLogin)
    permission_classes: tuple[type[BasePermission], ...] = (MayOnServices,)
    parser_classes = (StrictJSON,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = OnlyJSON
    metadata_class = None
    http_method_names = ("get", "head", "post", "put", "patch", "delete")

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return errors.answer

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # First, because CSRF protection reads the body.
        if request.method in self.allowed_methods:
            _refuse_other_bodies(request)
        super().initial(request, *args, **kwargs)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response.setdefault("Cache-Control", "no-store")
        return super().finalize_response(request, response, *args, **kwargs)


def _refuse_other_bodies(request: Request) -> None:
    """A request that may change something is JSON or empty: other sites' pages can't send that."""
    if request.method in SAFE_METHODS:
        return
    body = request._request.body
    # A chunked body has no length, which the framework takes for an empty body.
    request.META["CONTENT_LENGTH"] = str(len(body))
    kind = request.content_type
    if (kind or body) and kind.partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMediaType(kind or gettext("(none)"))
