"""What is offered over HTTP: at an address of a single agent its few pages, else the site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from django.http import HttpRequest, HttpResponse

from myagent_site.pages import service_of_address

SINGLE_AGENT_PAGES = "myagent_site.single_agent_urls"


def pages_of_this_process(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponse]],
) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    """Middleware: beside a single agent there is neither the admin nor the REST API."""

    async def middleware(request: HttpRequest) -> HttpResponse:
        if service_of_address(request) is not None:
            request.urlconf = SINGLE_AGENT_PAGES
        return await get_response(request)

    return middleware


pages_of_this_process.async_capable = True  # type: ignore[attr-defined]
pages_of_this_process.sync_capable = False  # type: ignore[attr-defined]
