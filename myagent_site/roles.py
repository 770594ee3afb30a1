"""What a server offers over HTTP: one with a single agent its few pages, any other the site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from django.http import HttpRequest, HttpResponse

from agents.serving import current_server

SINGLE_AGENT_PAGES = "myagent_site.single_agent_urls"


def pages_of_this_process(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponse]],
) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    """Middleware: beside a single agent there is neither the admin nor the REST API."""

    async def middleware(request: HttpRequest) -> HttpResponse:
        server = current_server()
        if server is not None and server.service:
            request.urlconf = SINGLE_AGENT_PAGES
        return await get_response(request)

    return middleware


pages_of_this_process.async_capable = True  # type: ignore[attr-defined]
pages_of_this_process.sync_capable = False  # type: ignore[attr-defined]
