"""The pages that people see, and the files that pages are made of."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import AppDirectoriesFinder
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.utils import translation
from whitenoise import WhiteNoise

from agents.runtime.base_path import address
from agents.sentences import choose, supported
from agents.serving import server_of
from myagent_site.chat_texts import TEXTS, translated
from myagent_site.introduction import Introduction, introduce
from services.tokens.judging import key_of_user

LANGUAGE_COOKIE = "myagent_lang"
STATIC = "/static/"
"""The path of files, within the site."""

YEAR_S = 365 * 24 * 3600

HEARTBEAT_SLACK_S = 10.0
"""Seconds that a heartbeat may be late before a page considers its connection dead."""

PAGE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Language, Cookie",
}


PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""Of an SVG file, which may have styles within. Opened by itself, it still runs no script."""


def content_security_policy(request: HttpRequest, *, form_action: str = "'none'") -> str:
    """What a page may load, and whom it may talk to: its own site alone."""
    host = request.get_host()
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            # Not every browser counts sockets of the same host as 'self'.
            f"connect-src 'self' ws://{host} wss://{host}",
            "img-src 'self' data:",
            "base-uri 'none'",
            f"form-action {form_action}",
            "frame-ancestors 'none'",
        )
    )


async def chat(request: HttpRequest) -> HttpResponse:
    """The chat page of a server with a single agent."""
    server = server_of(request)
    if server is None or not server.service:
        return HttpResponse(status=404)
    agent = asdict(server.conversations.port.agent_of(server.service))
    introduced = introduce(agent, name=server.service)
    if settings.MYAGENT_AUTH == "token":
        # Found already, without waiting, by what asks for the login.
        request.user = await request.auser()
    return chat_page(
        request, introduced, service=server.service, socket=address("/"), has_traces=True
    )


def chat_page(
    request: HttpRequest, agent: Introduction, *, service: str, socket: str, has_traces: bool
) -> HttpResponse:
    """The chat page of an agent. `socket`: the path of the service's socket. `has_traces`: the page
    of a run's trace is at the same port.

    Whoever is logged in has the site's list of conversations, others that of their browser.
    """
    lang = language_of(request)
    texts = translated(TEXTS, lang)
    context = {
        "text": texts,
        "modules": modules(
            "js/myagent.js", "js/chat/*.js", "vendor/dompurify/*.js", "vendor/marked/*.js"
        ),
        "agent": agent,
        "page": {
            "socket": socket,
            "service": service,
            "agent": agent.name,
            "hasTraces": has_traces and settings.MYAGENT_TRACING,
            "silenceMs": round((settings.MYAGENT_HEARTBEAT_S + HEARTBEAT_SLACK_S) * 1000),
            "lang": lang,
            "texts": texts,
            **_login_of(request),
        },
    }
    return answer(request, lang, "chat.html", context)


def _login_of(request: HttpRequest) -> dict[str, str]:
    """What the page needs to use the site's interface for whoever is logged in."""
    if settings.MYAGENT_AUTH != "token":
        return {"principal": "", "csrf": ""}
    return {"principal": key_of_user(request.user), "csrf": get_token(request)}


def language_of(request: HttpRequest) -> str:
    """The language chosen now or before, else the browser's."""
    return choose(
        request.GET.get("lang"),
        request.COOKIES.get(LANGUAGE_COOKIE),
        accept_language=request.headers.get("Accept-Language", ""),
    )


def answer(
    request: HttpRequest, lang: str, template: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """A page in a language, with a choice of languages, which is remembered."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    return draw(request, lang, template, context, status)


def draw(
    request: HttpRequest, lang: str, template: str, context: dict[str, Any], status: int
) -> HttpResponse:
    """The same, in the given language."""
    with translation.override(lang):
        page = render_to_string(template, context | _everywhere(lang))
    policy = {"Content-Security-Policy": content_security_policy(request)}
    headers = PAGE_HEADERS | policy | {"Content-Language": lang}
    response = HttpResponse(page, headers=headers, status=status)
    if supported(request.GET.get("lang")) == lang:
        kept: Any = {"max_age": YEAR_S, "path": settings.LANGUAGE_COOKIE_PATH}
        response.set_cookie(LANGUAGE_COOKIE, lang, samesite="Lax", httponly=True, **kept)
    return response


def _everywhere(lang: str) -> dict[str, Any]:
    return {
        "base": settings.MYAGENT_BASE_PATH,
        "has_logins": settings.MYAGENT_AUTH == "token",
        "html_lang": "zh-Hans" if lang == "zh-hans" else lang,
        "languages": [
            {"code": code, "name": name, "is_current": code == lang}
            for code, name in (("en", "English"), ("zh-hans", "简体中文"))
        ],
    }


@cache
def modules(*patterns: str) -> list[str]:
    """The modules that a page's script imports: named in the page, they are fetched at once."""
    found = (path for pattern in patterns for path in sorted(settings.STATIC_DIR.glob(pattern)))
    return [path.relative_to(settings.STATIC_DIR).as_posix() for path in found]


async def static_file(request: HttpRequest) -> HttpResponse:
    """Serves a file of `static/` with its type, its date and ranges."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    return await asyncio.to_thread(_read, request)


def _read(request: HttpRequest) -> HttpResponse:
    server = server_of(request)
    is_site = server is None or not server.service
    found = _files(is_site=is_site).find_file(request.path_info)
    if found is None:
        return HttpResponse(status=404)
    answer = found.get_response(request.method, request.META)
    headers = dict(answer.headers) | {"X-Content-Type-Options": "nosniff"}
    if request.path_info.endswith(".svg"):
        headers["Content-Security-Policy"] = PICTURE_POLICY
    if answer.file is None:
        return HttpResponse(status=answer.status, headers=headers)
    with answer.file:
        return HttpResponse(answer.file.read(), status=answer.status, headers=headers)


@cache
def _files(*, is_site: bool) -> WhiteNoise:
    """Those of the apps as well, for the site. Made at the first request: a server that is never
    looked at doesn't read the folders."""
    files = WhiteNoise(
        None,
        root=settings.STATIC_DIR,
        prefix=STATIC,
        # The tree may change under a running process, by an update for example.
        autorefresh=True,
        # Revalidated each time, so that page and scripts always have the same version.
        max_age=0,
    )
    if is_site:
        for storage in AppDirectoriesFinder().storages.values():
            files.add_files(storage.location, prefix=STATIC)
    return files
