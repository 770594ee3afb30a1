"""What is served over HTTP: the chat of one agent (alone, or on an own port), else the site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from django.http import HttpRequest, HttpResponse

from agents.serving import server_of
from agents.sockets.handshake import OWN_DOOR

SINGLE_AGENT_PAGES = "myagent_site.single_agent_urls"
OWN_DOOR_PAGES = "myagent_site.own_door_urls"


def pages_of_this_process(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponse]],
) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    """Middleware: beside a single agent, or at a service's own port, there is no admin."""

    async def middleware(request: HttpRequest) -> HttpResponse:
        server = server_of(request)
        if server is not None and server.service:
            request.urlconf = SINGLE_AGENT_PAGES
        elif OWN_DOOR in getattr(request, "scope", {}):
            request.urlconf = OWN_DOOR_PAGES
        return await get_response(request)

    return middleware


pages_of_this_process.async_capable = True  # type: ignore[attr-defined]
pages_of_this_process.sync_capable = False  # type: ignore[attr-defined]
