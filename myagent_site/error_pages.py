"""The answers to requests that have no page: a page for people, JSON for programs."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import translation

from agents.runtime.database_errors import AWAY_RETRY_S, is_away
from agents.runtime.explaining import explain
from agents.sentences import say
from agents.serving import server_of
from agents.sockets.handshake import OWN_DOOR
from myagent_site.chat_texts import translated
from myagent_site.console_texts import ERROR_TEXTS
from myagent_site.pages import draw, language_of
from myagent_site.unavailable import note
from services import permissions

logger = structlog.get_logger(__name__)

MAX_PATH = 200
"""Maximum number of characters of an address that are repeated."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """`code`: for programs; also the key of its texts."""

    status: int
    code: str


NOT_FOUND = Trouble(404, "not_found")
FORBIDDEN = Trouble(403, "forbidden")
STALE_FORM = Trouble(403, "stale_form")
BAD_REQUEST = Trouble(400, "bad_request")
TOO_MANY_LOGINS = Trouble(429, "too_many_logins")
FAILED = Trouble(500, "internal_error")
AWAY = Trouble(503, "storage_unavailable")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, NOT_FOUND)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Names the permission that is missing, if that is known."""
    with translation.override(language_of(request)):
        missing = str(exception) or permissions.needed_for_admin_page(request)
    return _answer(request, FORBIDDEN, missing)


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form was sent without the token of its page."""
    return _answer(request, STALE_FORM)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, BAD_REQUEST)


def too_many_logins(request: HttpRequest, *, retry_after_s: int) -> HttpResponse:
    """Needs no database: it answers those who would keep it busy."""
    response = _answer(request, TOO_MANY_LOGINS)
    response.headers["Retry-After"] = str(retry_after_s)
    return response


def failed(request: HttpRequest) -> HttpResponse:
    """Needs nothing that may have failed: no database, no login.

    Called by Django while it handles the exception, from a view or from a middleware.
    """
    error = sys.exc_info()[1]
    if isinstance(error, Exception) and is_away(error):
        return _without_database(request, error)
    return _answer(request, FAILED)


def _without_database(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.warning("storage_away", error=explain(error))
    response = _answer(request, AWAY)
    response.headers["Retry-After"] = str(AWAY_RETRY_S)
    # Else Django logs the exception as an error of ours, with a traceback each time.
    note(request, response, "debug")
    return response


def only_sockets(request: HttpRequest) -> HttpResponse:
    """This server has no pages, not even for errors."""
    return told(say(language_of(request), "only_sockets"), NOT_FOUND.code, NOT_FOUND.status)


def only_pages(request: HttpRequest, address: str) -> HttpResponse:
    """This server has no sockets. `address`: where they are, if that is known."""
    lang = language_of(request)
    sentence = say(lang, "only_pages")
    if not is_for_people(request):
        return told(f"{sentence} {address}".rstrip(), NOT_FOUND.code, NOT_FOUND.status)
    text = translated(ERROR_TEXTS, lang)
    context = {
        "text": text,
        "title": text["only_pages_title"],
        "sentence": sentence,
        "path": address,
        "is_site": True,
    }
    return draw(request, lang, "error.html", context, status=NOT_FOUND.status)


def is_for_people(request: HttpRequest) -> bool:
    """Whether the answer is a page; programs are told in JSON."""
    return "text/html" in request.headers.get("Accept", "")


def told(detail: str, code: str, status: int) -> HttpResponse:
    """What programs are told."""
    return JsonResponse({"detail": detail, "code": code}, status=status)


def _answer(request: HttpRequest, trouble: Trouble, reason: str = "") -> HttpResponse:
    lang = language_of(request)
    text = translated(ERROR_TEXTS, lang)
    sentence = f"{text[trouble.code]} {reason}".rstrip()
    path = request.path[:MAX_PATH] if trouble is NOT_FOUND else ""
    if not is_for_people(request):
        return told(f"{sentence} {path}".rstrip(), trouble.code, trouble.status)
    context = {
        "text": text,
        "title": text[f"{trouble.code}_title"],
        "sentence": sentence,
        "path": path,
        "is_site": _is_site(request),
    }
    return draw(request, lang, "error.html", context, status=trouble.status)


def _is_site(request: HttpRequest) -> bool:
    """Whether there are pages besides a single agent's chat."""
    server = server_of(request)
    is_single = server is not None and bool(server.service)
    return not (is_single or OWN_DOOR in getattr(request, "scope", {}))
