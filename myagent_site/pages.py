"""The pages that people see, and the files that pages are made of."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import translation
from whitenoise import WhiteNoise

from agents.runner import RunnerProcess, current_runner
from agents.sentences import choose
from myagent_site.chat_texts import TEXTS, translated

LANGUAGE_COOKIE = "myagent_lang"
YEAR_S = 365 * 24 * 3600

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self' ws: wss:",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

PAGE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Language, Cookie",
}


async def chat(request: HttpRequest) -> HttpResponse:
    """The chat with this process's agent; without one, what to do."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    chosen = request.GET.get("lang")
    lang = choose(
        chosen,
        request.COOKIES.get(LANGUAGE_COOKIE),
        accept_language=request.headers.get("Accept-Language", ""),
    )
    runner = current_runner()
    template = "chat.html" if runner else "no_agent.html"
    with translation.override(lang):
        page = render_to_string(template, _context(lang, runner))
    response = HttpResponse(page, headers=PAGE_HEADERS | {"Content-Language": lang})
    if chosen and choose(chosen) == lang:
        response.set_cookie(LANGUAGE_COOKIE, lang, max_age=YEAR_S, samesite="Lax", httponly=True)
    return response


def _context(lang: str, runner: RunnerProcess | None) -> dict[str, Any]:
    context: dict[str, Any] = {
        "text": translated(TEXTS),
        "html_lang": "zh-Hans" if lang == "zh-hans" else lang,
        "languages": [
            {"code": code, "name": name, "is_current": code == lang}
            for code, name in (("en", "English"), ("zh-hans", "简体中文"))
        ],
    }
    if runner is not None:
        context["agent"] = {
            "name": runner.agent_file.agent_name,
            "description": _description(runner.agent_file.source),
        }
        context["page"] = {
            "socket": "/",
            "service": runner.service,
            "agent": runner.agent_file.agent_name,
            "lang": lang,
            "texts": context["text"],
        }
    return context


def _description(source: Any) -> str:
    """What an agent says of itself; a factory's agents can't be asked before they exist."""
    description = getattr(source, "description", "")
    return description if isinstance(description, str) else ""


async def static_file(request: HttpRequest) -> HttpResponse:
    """A file of `static/`: with its type, its date and ranges."""
    found = await asyncio.to_thread(_find, request.path_info)
    if found is None or request.method not in ("GET", "HEAD"):
        return HttpResponse(status=404)
    answer = await asyncio.to_thread(found.get_response, request.method, request.META)
    headers = dict(answer.headers) | {"X-Content-Type-Options": "nosniff"}
    content = b""
    if answer.file is not None:
        with answer.file:
            content = await asyncio.to_thread(answer.file.read)
    return HttpResponse(content, status=answer.status, headers=headers)


def _find(path: str) -> Any:
    files = _files()
    return files.find_file(path) if files.autorefresh else files.files.get(path)


@cache
def _files() -> WhiteNoise:
    """Made at the first request: a runner that is never looked at doesn't read the folder."""
    return WhiteNoise(
        None,
        root=settings.STATIC_DIR,
        prefix=settings.STATIC_URL,
        autorefresh=settings.DEBUG,
        # Asked again each time, so that page and scripts are always of one version.
        max_age=0,
    )
