"""The console: every service and its instances, live, for users with the permission."""

from __future__ import annotations

from functools import partial
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import get_token
from django.utils import translation

from agents.runtime.base_path import address
from agents.runtime.long_answers import end_with_the_server
from myagent_site.chat_texts import translated
from myagent_site.console_texts import TEXTS
from myagent_site.feed import Feed
from myagent_site.pages import answer, language_of, modules
from services.access import is_open, may, why_not
from services.routing.conditions import FIELDS, LISTS, PREFIXES
from services.routing.rulebook import MAX_RULES
from services.routing.rules import Operator, Strategy
from services.tokens.judging import Proof, proof_of_session, staff_logins
from services.views.overview import MAX_SERVICES, overview
from services.views.trends import WINDOW_S, last_hour

logger = structlog.get_logger(__name__)

VIEW = "services.view_service"
CONTROL = "services.control_service"
CHANGE = "services.change_service"
VIEW_CONNECTIONS = "agents.view_connection"
CLOSE_CONNECTIONS = "agents.delete_connection"
VIEW_RULES = "services.view_routingrule"
ADD_RULES = "services.add_routingrule"
CHANGE_RULES = "services.change_routingrule"
REMOVE_RULES = "services.delete_routingrule"

MOST_CONNECTIONS = 200
"""Connections that are listed, the newest."""

LOGIN = "/admin/login/"

MODULES = (
    "js/chat/announcer.js",
    "js/chat/dom.js",
    "js/chat/page.js",
    "js/chat/requests.js",
    "js/chat/storage.js",
    "js/chat/theme.js",
    "js/console/*.js",
    "vendor/uplot/*.js",
)

STREAM = "text/event-stream"

PRIVATE = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Cookie",
}

permitted = partial(staff_logins, permission=VIEW)

feeds = {lang: Feed(overview, lang, permitted) for lang, _ in settings.LANGUAGES}
for feed in feeds.values():
    end_with_the_server(feed.end)


def page(request: HttpRequest) -> HttpResponse:
    """The page itself; redirects to the login if one is required."""
    lang = language_of(request)
    texts = translated(TEXTS, lang)
    if not may(request, VIEW):
        if request.user.is_authenticated and request.user.is_staff:
            with translation.override(lang):
                context = {"text": texts, "missing": why_not(request, VIEW)}
            return answer(request, lang, "no_leave.html", context, status=403)
        return redirect_to_login(request.path, address(LOGIN))
    given = {
        "lang": lang,
        "texts": texts,
        "windowSeconds": WINDOW_S,
        "maxServices": MAX_SERVICES,
        "mayControl": may(request, CONTROL),
        # For users of the admin, which requires a login itself.
        "mayChange": is_open(request) or may(request, CHANGE),
        "mayViewConnections": may(request, VIEW_CONNECTIONS),
        "mayClose": may(request, VIEW_CONNECTIONS) and may(request, CLOSE_CONNECTIONS),
        "maxConnections": MOST_CONNECTIONS,
        "rules": _rules_for(request),
        "startsSupervisor": settings.IS_EMBEDDED and settings.MYAGENT_SUPERVISOR == "auto",
        "csrf": get_token(request),
    }
    context = {
        "text": texts,
        "page": given,
        "modules": modules(*MODULES),
    }
    return answer(request, lang, "console.html", context)


def _rules_for(request: HttpRequest) -> dict[str, Any] | None:
    """What the page needs to show, change and try rules of routing; None: they are not shown."""
    if not may(request, VIEW_RULES):
        return None
    return {
        "fields": FIELDS,
        "prefixes": PREFIXES,
        "operators": list(map(str, Operator)),
        "lists": list(map(str, LISTS)),
        "strategies": list(map(str, Strategy)),
        "most": MAX_RULES,
        "mayAdd": may(request, ADD_RULES),
        "mayChange": may(request, CHANGE_RULES),
        "mayRemove": may(request, REMOVE_RULES),
    }


async def events(request: HttpRequest) -> HttpResponseBase:
    """The state as server-sent events: see `feed`."""
    if (refused := await sync_to_async(_refuse)(request)) is not None:
        return refused
    feed = feeds[language_of(request)]
    # A proxy that buffers responses would delay all events.
    headers = PRIVATE | {"X-Accel-Buffering": "no"}
    if request.method == "HEAD":
        return _full() if feed.is_full else HttpResponse(content_type=STREAM, headers=headers)
    if (followed := feed.follow(_proof_of(request))) is None:
        return _full()
    return StreamingHttpResponse(followed, content_type=f"{STREAM}; charset=utf-8", headers=headers)


def _proof_of(request: HttpRequest) -> Proof | None:
    return None if is_open(request) else proof_of_session(request.session.session_key or "")


def history(request: HttpRequest) -> HttpResponse:
    """The last hour of one service."""
    if (refused := _refuse(request)) is not None:
        return refused
    return JsonResponse(last_hour(request.GET.get("service", "")[:36]), headers=PRIVATE)


def _refuse(request: HttpRequest) -> HttpResponse | None:
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    if not may(request, VIEW):
        return _refusal("forbidden", why_not(request, VIEW), 403)
    return None


def _full() -> JsonResponse:
    return _refusal("busy", "Too many people are watching.", 503, {"Retry-After": "10"})


def _refusal(
    code: str, detail: str, status: int, headers: dict[str, str] | None = None
) -> JsonResponse:
    body = {"detail": detail, "code": code}
    return JsonResponse(body, status=status, headers=PRIVATE | (headers or {}))
