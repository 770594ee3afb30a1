"""What a process serves over HTTP: a runner its agent's few pages, any other the site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from django.http import HttpRequest, HttpResponse

from agents.runner import current_runner

RUNNER_PAGES = "myagent_site.runner_urls"


def pages_of_this_process(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponse]],
) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    """Middleware: a runner, in which agent code runs, offers neither the admin nor the REST API."""

    async def middleware(request: HttpRequest) -> HttpResponse:
        if current_runner() is not None:
            request.urlconf = RUNNER_PAGES
        return await get_response(request)

    return middleware


pages_of_this_process.async_capable = True  # type: ignore[attr-defined]
pages_of_this_process.sync_capable = False  # type: ignore[attr-defined]
