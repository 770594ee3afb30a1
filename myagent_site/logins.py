"""Failed logins: each is answered late, and too many of them lock the address out for a while.

django-axes counts them in the database, for all servers of a site. It counts only by the client's
address, so that an attacker can't lock out users of other addresses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext

from agents.runtime.edge import client_address, counted_as
from myagent_site.admin_pages import ADMIN

LOGIN = f"/{ADMIN}login/"

PAUSE_S = 1.0
"""Seconds by which the answer to a failed login is delayed."""


def address_of(request: HttpRequest) -> str | None:
    """The address that a login counts for; behind trusted proxies, the one that the last saw."""
    scope = getattr(request, "scope", None)
    if scope is None:
        return request.META.get("REMOTE_ADDR")
    address = client_address(scope, settings.MYAGENT_TRUSTED_PROXIES)
    # This machine's own address is counted as well: it does not stand for many clients here.
    return counted_as(address, ()) or address


def shut_out(request: HttpRequest, *_: Any) -> HttpResponse:
    """The answer to a client that has tried too often."""
    seconds = round(settings.AXES_COOLOFF_TIME.total_seconds())
    sentence = gettext(
        "Too many logins from your address have failed. Try again in {minutes} minutes."
    ).format(minutes=seconds // 60)
    context = admin.site.each_context(request) | {"sentence": sentence, "title": gettext("Log in")}
    response = render(request, "admin/shut_out.html", context, status=429)
    response.headers["Retry-After"] = str(seconds)
    return response


def slow_failed_logins(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponse]],
) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    """Middleware: delays the answer to a failed login without delaying other requests."""

    async def middleware(request: HttpRequest) -> HttpResponse:
        response = await get_response(request)
        has_failed = request.method == "POST" and response.status_code in (200, 429)
        if has_failed and request.path_info == LOGIN:
            await asyncio.sleep(PAUSE_S)
        return response

    return middleware


slow_failed_logins.async_capable = True  # type: ignore[attr-defined]
slow_failed_logins.sync_capable = False  # type: ignore[attr-defined]
