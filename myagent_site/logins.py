"""Failed logins: each is answered late, and too many of them lock the address out for a while.

django-axes counts them in the database, for all servers of a site. It counts only by the client's
address, so that an attacker can't lock out users of other addresses. It asks for the count before
the password is checked and raises it afterwards, so logins of one address have to take turns.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext

from agents.runtime.edge import client_address, counted_as
from myagent_site import login
from myagent_site.admin_pages import ADMIN
from myagent_site.error_pages import too_many_logins

LOGINS = (f"/{ADMIN}login/", login.LOGIN)

PAUSE_S = 1.0
"""Seconds by which the answer to a failed login is delayed."""

MOST_CHECKS = 4
"""Logins of one process that are checked at once: each takes CPU time, and writes."""

GetResponse = Callable[[HttpRequest], Awaitable[HttpResponse]]


class Slots:
    """The logins in progress: one for each address, and `most` that are being checked."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._checks = 0
        self._addresses: set[str] = set()

    def take(self, address: str) -> bool:
        """Takes a slot; False if none is free. Then call `end_check` and `leave`, in this order."""
        if address in self._addresses or self._checks >= self._most:
            return False
        self._checks += 1
        self._addresses.add(address)
        return True

    def end_check(self) -> None:
        """The address keeps its slot, but other addresses may be checked."""
        self._checks -= 1

    def leave(self, address: str) -> None:
        self._addresses.discard(address)


SLOTS = Slots(MOST_CHECKS)
"""Those of this process."""


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
    if request.path_info == login.LOGIN:
        response = login.shut_out(request, sentence)
    else:
        title = gettext("Log in")
        context = admin.site.each_context(request) | {"sentence": sentence, "title": title}
        response = render(request, "admin/shut_out.html", context, status=429)
    response.headers["Retry-After"] = str(seconds)
    return response


def slow_failed_logins(get_response: GetResponse) -> GetResponse:
    """Middleware: logins of one address take turns, and the answer to a failed one is delayed.

    Other requests are not delayed. A login without a free slot is answered 429.
    """

    async def middleware(request: HttpRequest) -> HttpResponse:
        if request.method != "POST" or request.path_info not in LOGINS:
            return await get_response(request)
        address = address_of(request) or ""
        if not SLOTS.take(address):
            return too_many_logins(request, retry_after_s=math.ceil(PAUSE_S))
        login = asyncio.get_running_loop().create_task(_in_slot(get_response, request, address))
        try:
            return await asyncio.shield(login)
        except asyncio.CancelledError:
            # The client is gone, but a thread still checks its password: the slot is not free yet.
            await asyncio.wait([login])
            raise

    return middleware


async def _in_slot(get_response: GetResponse, request: HttpRequest, address: str) -> HttpResponse:
    """Ends the slot that was taken for the login."""
    try:
        try:
            response = await get_response(request)
        finally:
            SLOTS.end_check()
        if response.status_code in (200, 429):
            await asyncio.sleep(PAUSE_S)
        return response
    finally:
        SLOTS.leave(address)


slow_failed_logins.async_capable = True  # type: ignore[attr-defined]
slow_failed_logins.sync_capable = False  # type: ignore[attr-defined]
