"""The pages of traces. They hold no data: their scripts read it over REST, which knows who may."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token

from agents.serving import server_of
from myagent_site.chat_texts import translated
from myagent_site.pages import answer, language_of, modules
from myagent_site.trace_texts import TEXTS
from traces.models import Trace
from traces.reading.feedback import Kind

MODULES = (
    "js/chat/announcer.js",
    "js/chat/dom.js",
    "js/chat/page.js",
    "js/chat/requests.js",
    "js/chat/storage.js",
    "js/chat/theme.js",
    "js/console/ink.js",
    "js/console/numbers.js",
    "js/console/readable.js",
    "js/traces/*.js",
    "vendor/uplot/*.js",
)


def traces(request: HttpRequest) -> HttpResponse:
    """The list."""
    return _page(request, "traces.html")


def trace(request: HttpRequest, id: str) -> HttpResponse:
    """One trace, whether there is one or not: its script finds out."""
    return _page(request, "trace.html", traceId=id)


def compare(request: HttpRequest) -> HttpResponse:
    """Two traces side by side, `?a=` and `?b=`, whether there are such or not."""
    wanted = {name: request.GET.get(name, "") for name in ("a", "b")}
    return _page(request, "trace_compare.html", compares=wanted)


def _page(request: HttpRequest, template: str, **more: Any) -> HttpResponse:
    lang = language_of(request)
    texts = translated(TEXTS, lang)
    server = server_of(request)
    is_site = server is None or not server.service
    context = {
        "text": texts,
        "is_site": is_site,
        "modules": modules(*MODULES),
        "statuses": [(status, texts[f"status_{status}"]) for status in Trace.Status.values],
        "feedback": [(kind.value, texts[f"feedback_{kind}"]) for kind in Kind],
        "page": {
            "lang": lang,
            "texts": texts,
            "csrf": get_token(request),
            "isSite": is_site,
            **more,
        },
    }
    return answer(request, lang, template, context)
