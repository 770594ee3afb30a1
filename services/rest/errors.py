"""Errors as `{"detail": "sentence", "code": "snake_case"}` with their statuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, RequestDataTooBig
from django.http import Http404
from django.utils import translation
from django.utils.translation import gettext
from rest_framework import exceptions
from rest_framework.response import Response

from agents.runtime.database_errors import AWAY_RETRY_S, is_away
from agents.runtime.explaining import explain
from agents.sentences import SENTENCES
from services.errors import (
    Conflict,
    ServiceError,
    UnknownConnection,
    UnknownRule,
    UnknownService,
)
from services.supervision.supervisor_start import SupervisorNotStarted

logger = structlog.get_logger(__name__)

NO_SUPERVISOR = "no_supervisor"

MAX_FIELDS = 20
MAX_FIELD_NAME = 100


class InvalidBody(exceptions.ParseError):
    """The body is declared as JSON but is not valid."""

    default_code = "invalid_json"


def answer(error: Exception, context: Mapping[str, Any]) -> Response:
    """The exception handler of all views of the interface."""
    if isinstance(error, ServiceError):
        return _refusal(error)
    if isinstance(error, exceptions.ValidationError):
        return Response(_invalid(error), 400)
    # A service may be deleted between two reads.
    if isinstance(error, Http404 | ObjectDoesNotExist):
        error = exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.APIException):
        return _known(error)
    if isinstance(error, RequestDataTooBig):
        return _said(413, "too_large", gettext("The request is too large."))
    if is_away(error):
        logger.warning("storage_away", error=explain(error))
        response = _said(503, "storage_unavailable", translation.gettext(SENTENCES["storage_away"]))
        response["Retry-After"] = str(AWAY_RETRY_S)
        return response
    logger.error("request_failed", exc_info=error)
    sentence = gettext("Something went wrong on the server. Its log has the details.")
    return _said(500, "internal_error", sentence)


def _said(status: int, code: str, sentence: str, **more: Any) -> Response:
    return Response({"detail": sentence, "code": code} | more, status)


def _refusal(error: ServiceError) -> Response:
    status = 400
    if isinstance(error, UnknownService | UnknownRule | UnknownConnection):
        status = 404
    elif isinstance(error, Conflict):
        status = 409
    elif error.code == NO_SUPERVISOR:
        status = 503
    if isinstance(error, SupervisorNotStarted):
        # Paths of the machine are not shown over the network.
        logger.error("supervisor_not_started", log=str(error.log))
        sentence = gettext("The supervisor could not be started; the site's log has the details.")
        return _said(status, error.code, sentence)
    about = {"field": error.field, "fields": {error.field: str(error)}} if error.field else {}
    return _said(status, error.code, str(error), **about)


def _known(error: exceptions.APIException) -> Response:
    more: dict[str, Any] = getattr(error, "more", {})
    response = _said(error.status_code, str(error.get_codes()), str(error.detail), **more)
    if "retry_after_s" in more:
        response["Retry-After"] = str(more["retry_after_s"])
    if challenge := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = challenge
    return response


def _invalid(error: exceptions.ValidationError) -> dict[str, Any]:
    fields: dict[str, str] = {}
    for field, sentence in _sentences(error.detail):
        if len(fields) < MAX_FIELDS:
            fields.setdefault(field, sentence)
    said = " ".join(f"{field}: {text}" if field else text for field, text in fields.items())
    about: dict[str, Any] = {name: text for name, text in fields.items() if name}
    body: dict[str, Any] = {"detail": said, "code": "invalid"}
    if about:
        body["fields"] = about
    if len(about) == 1:
        body["field"] = next(iter(about))
    return body


def _sentences(detail: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """The fields of nested errors, as `config.max_sessions` or `conditions.0.operator`, each with
    what is wrong.
    """
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)[:MAX_FIELD_NAME]
            yield from _sentences(inner, ".".join(filter(None, (field, own))))
    elif isinstance(detail, list):
        for place, inner in enumerate(detail):
            # A list of objects has the errors of each in its place.
            is_item = isinstance(inner, Mapping) and field
            yield from _sentences(inner, f"{field}.{place}" if is_item else field)
    else:
        yield field, str(detail)
