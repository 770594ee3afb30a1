"""What is served over HTTP: one agent's chat, the site, or of the site what a server has of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from django.http import HttpRequest, HttpResponse

from agents.serving import server_of
from agents.sockets.handshake import OWN_DOOR
from myagent_site import error_pages
from services.routing.sides import Side, side_of

SINGLE_AGENT_PAGES = "myagent_site.single_agent_urls"
OWN_DOOR_PAGES = "myagent_site.own_door_urls"
PAGE_SIDE = "myagent_site.page_side_urls"
FOR_OPERATORS = frozenset({"/health", "/health/ready", "/metrics"})
"""What a server has that has no pages."""


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
        elif (side := side_of(request)) is Side.PAGES:
            request.urlconf = PAGE_SIDE
        elif side is Side.SOCKETS and request.path_info not in FOR_OPERATORS:
            return error_pages.only_sockets(request)
        return await get_response(request)

    return middleware


pages_of_this_process.async_capable = True  # type: ignore[attr-defined]
pages_of_this_process.sync_capable = False  # type: ignore[attr-defined]
