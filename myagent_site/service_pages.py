"""The chat page of each service of the site, at the path of the service's socket."""

from __future__ import annotations

from django.core.handlers.asgi import ASGIRequest
from django.db import Error as DatabaseFailure
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from agents.runtime.base_path import address
from agents.sockets.handshake import OWN_DOOR
from myagent_site import error_pages
from myagent_site.chat_texts import translated
from myagent_site.console_texts import NO_CHAT_TEXTS
from myagent_site.introduction import introduce
from myagent_site.pages import answer, chat_page, language_of
from services.models import Service
from services.routing.endpoints import chat_of, path_of, site_address


def chat(request: HttpRequest, name: str, socket: str = "") -> HttpResponse:
    """The chat page of a service, running or not; redirects to the page of an external one.

    `socket`: its path, if it is not the service's path at the site.
    """
    service = Service.objects.filter(name=name).first()
    # MySQL compares names without regard to case; sockets don't.
    if service is None or service.name != name:
        return _no_chat(request, name)
    if service.is_external:
        elsewhere = chat_of(service)
        if not elsewhere:
            return _no_chat(request, name)
        return HttpResponseRedirect(elsewhere)
    agent = introduce(service.agent, name=service.name, description=service.description)
    return chat_page(
        request,
        agent,
        service=service.name,
        socket=socket or path_of(service.name),
        # A port of the service's own has the chat alone.
        has_traces=not socket,
    )


def chat_at_own_door(request: ASGIRequest) -> HttpResponse:
    """The chat page on the service's own port."""
    return chat(request, request.scope[OWN_DOOR], socket=address("/"))


def no_chat_here(request: HttpRequest, name: str) -> HttpResponse:
    """On a server without sockets: the address of the service's."""
    try:
        site = site_address()
    except DatabaseFailure:
        site = ""
    address = f"{site.rstrip('/')}{path_of(name)}" if site else ""
    return error_pages.only_pages(request, address)


def with_slash(request: HttpRequest, name: str) -> HttpResponse:
    query = request.META.get("QUERY_STRING", "")
    return HttpResponseRedirect(f"{path_of(name)}?{query}" if query else path_of(name))


def _no_chat(request: HttpRequest, name: str) -> HttpResponse:
    lang = language_of(request)
    text = translated(NO_CHAT_TEXTS, lang)
    if request.method in ("GET", "HEAD") and not error_pages.is_for_people(request):
        detail = f"{text['no_service']} {name[: error_pages.MAX_PATH]}"
        return error_pages.told(detail, "no_service", 404)
    return answer(request, lang, "no_chat.html", {"text": text, "name": name}, status=404)
