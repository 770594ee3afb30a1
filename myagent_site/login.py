"""The site's login, for whoever may use agents: with `MYAGENT_AUTH=token` all pages ask for it.

It is one login for the chat, the console, the API's pages and, for staff, the admin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout as end_login
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import get_token
from django.urls import path
from django.utils.translation import gettext_noop
from django.views.decorators.csrf import csrf_protect

from agents.runtime.base_path import address
from agents.sentences import say
from myagent_site.admin_pages import ADMIN
from myagent_site.chat_texts import translated
from myagent_site.error_pages import is_for_people, told
from myagent_site.pages import content_security_policy, draw, language_of
from services.access import bearer_in

LOGIN = "/login/"
LOGOUT = "/logout/"

FREE = (
    *(LOGIN, LOGOUT, "/health", "/metrics", "/static/", "/favicon.ico", "/console"),
    *(f"/{ADMIN}", "/api/v1"),
)
"""Paths that ask for a login themselves, or tell nothing."""

DESCRIPTION = "/api/schema"
"""The path of what describes the REST interface; tokens are judged as they are there."""

TEXTS = {
    "log_in": gettext_noop("Log in"),
    "log_out": gettext_noop("Log out"),
    "user": gettext_noop("User name"),
    "password": gettext_noop("Password"),
    "wrong": gettext_noop("That is no user name and password of this site."),
    "logged_in_as": gettext_noop("You are logged in as {name}."),
}

GetResponse = Callable[[HttpRequest], Awaitable[HttpResponse]]


def require_login(get_response: GetResponse) -> GetResponse:
    """Middleware: with `MYAGENT_AUTH=token`, pages are for who is logged in; others are sent to the
    login, programs are told."""

    async def middleware(request: HttpRequest) -> HttpResponse:
        path_ = request.path_info
        if settings.MYAGENT_AUTH != "token" or path_.startswith(FREE):
            return await get_response(request)
        if (await request.auser()).is_authenticated:
            return await get_response(request)
        # It is described by the site, but for the programs that use it.
        has_token = bearer_in(request) is not None
        if has_token and path_.startswith(DESCRIPTION):
            return await get_response(request)
        if not is_for_people(request):
            sentence = "pages_need_login" if has_token else "unauthenticated"
            return told(say(language_of(request), sentence), "unauthenticated", 401)
        return redirect_to_login(request.get_full_path(), address(LOGIN))

    return middleware


require_login.async_capable = True  # type: ignore[attr-defined]
require_login.sync_capable = False  # type: ignore[attr-defined]


class SiteLogin(LoginView):
    """Where nothing else is said, it leads to the home page."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return _draw(request, then=str(self.get_redirect_url()))

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        return _draw(self.request, problem="wrong", then=str(self.get_redirect_url()))


@csrf_protect
def logout(request: HttpRequest) -> HttpResponse:
    """Asks, and ends the login."""
    if request.method == "POST":
        end_login(request)
        return HttpResponseRedirect(address(LOGIN))
    if not request.user.is_authenticated:
        return HttpResponseRedirect(address(LOGIN))
    return _draw(request, name=request.user.get_username())


def shut_out(request: HttpRequest, sentence: str) -> HttpResponse:
    """The answer to a client that has tried too often."""
    return _draw(request, sentence=sentence, status=429)


def _draw(
    request: HttpRequest,
    *,
    problem: str = "",
    sentence: str = "",
    then: str = "",
    name: str = "",
    status: int = 200,
) -> HttpResponse:
    lang = language_of(request)
    texts = translated(TEXTS, lang)
    context = {
        "text": texts,
        "problem": sentence or texts.get(problem, ""),
        "is_open": not sentence,
        "then": then,
        "csrf": get_token(request),
        "logged_in_as": texts["logged_in_as"].format(name=name) if name else "",
        "action": address(LOGOUT if name else LOGIN),
    }
    response = draw(request, lang, "login.html", context, status)
    policy = content_security_policy(request, form_action="'self'")
    response.headers["Content-Security-Policy"] = policy
    # Without a referrer, browsers hide the origin of the form too.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response


urlpatterns = [
    path(LOGIN.strip("/") + "/", SiteLogin.as_view()),
    path(LOGOUT.strip("/") + "/", logout),
]
