"""The site's home: what runs and where to talk to it, or what to do when nothing does."""

from __future__ import annotations

from typing import Any

from django.db import Error as DatabaseFailure
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from agents.runtime.base_path import address
from myagent_site.chat_texts import translated
from myagent_site.console import VIEW
from myagent_site.console_texts import HOME_TEXTS
from myagent_site.pages import answer, language_of
from services.access import USE, may
from services.models import Service
from services.views.observers import UNKNOWN
from services.views.overview import overview

MAX_SHOWN = 60

MAY_RUN = (Service.Status.RUNNING, Service.Status.UNHEALTHY, UNKNOWN)
"""Without a supervisor nobody knows; then the page of a service tells."""


def home(request: HttpRequest) -> HttpResponse:
    lang = language_of(request)
    context: dict[str, Any] = {"text": translated(HOME_TEXTS, lang)}
    try:
        context |= _seen_by(request)
    except DatabaseFailure:
        context["is_away"] = True
    return answer(request, lang, "home.html", context)


def to_home(request: HttpRequest) -> HttpResponse:
    """A path of services without a name: redirects to the home page, which lists them."""
    query = request.META.get("QUERY_STRING", "")
    return HttpResponseRedirect(address(f"/?{query}" if query else "/"))


def _seen_by(request: HttpRequest) -> dict[str, Any]:
    """The running services, if the client may see them."""
    if not (may(request, VIEW) or may(request, USE)):
        return {"is_closed": True}
    seen = overview()
    running = [each for each in seen["services"] if each["chat"] and each["status"] in MAY_RUN]
    return {
        "totals": seen["totals"],
        "running": running[:MAX_SHOWN],
    }
