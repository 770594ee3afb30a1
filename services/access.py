"""Permissions over HTTP, for the REST interface and the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest
from django.http.request import split_domain_port
from django.utils.translation import gettext

from agents.runtime.edge import is_loopback
from services import permissions
from services.models import Service

USE = "services.use_service"
VIEW = "services.view_service"
CONTROL = "services.control_service"

RIGHTS = {
    USE: "use",
    VIEW: "view",
    CONTROL: "control",
    "services.add_service": "edit",
    "services.change_service": "edit",
    "services.delete_service": "edit",
    "services.view_routingrule": "view",
    "services.add_routingrule": "edit",
    "services.change_routingrule": "edit",
    "services.delete_routingrule": "edit",
    "agents.see_conversations": "view",
    "agents.join_conversations": "control",
    "agents.view_connection": "view",
    "agents.delete_connection": "control",
}
"""The right of a token that each permission requires."""

FORWARDING = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip"}
)
"""Headers by which a proxy shows that it forwards a request, besides `X-Forwarded-*`."""


def is_local(asked: HttpRequest | Mapping[str, Any]) -> bool:
    """Whether a request comes from this machine itself, and not through a proxy on it. No I/O.

    `asked`: a request, or the scope of an ASGI connection. A request that did not come in over ASGI
    is never local.
    """
    scope = asked if isinstance(asked, Mapping) else getattr(asked, "scope", None)
    if scope is None or not _is_loopback_address(scope, "server"):
        return False
    # By default, proxies such as nginx add no header and speak HTTP/1.0.
    if not _is_loopback_address(scope, "client") or scope.get("http_version") == "1.0":
        return False
    if any(_is_forwarding(name.lower()) for name, _ in scope["headers"]):
        return False
    hosts = [value for name, value in scope["headers"] if name.lower() == b"host"]
    return len(hosts) == 1 and _names_loopback(hosts[0].decode("latin-1"))


def bearer_in(asked: HttpRequest | Mapping[str, Any]) -> str | None:
    """What `Authorization: Bearer` says, if anything. No I/O."""
    scope = asked if isinstance(asked, Mapping) else getattr(asked, "scope", None)
    for name, value in () if scope is None else scope["headers"]:
        if name.lower() == b"authorization":
            scheme, _, said = value.decode("latin-1").partition(" ")
            return said.strip() if scheme.lower() == "bearer" else None
    return None


def is_open(asked: HttpRequest | Mapping[str, Any]) -> bool:
    """Whether no login is required: `MYAGENT_AUTH` is `open`, and the request is local. No I/O."""
    return settings.MYAGENT_AUTH == "open" and is_local(asked)


def may(request: HttpRequest, permission: str) -> bool:
    """Whether the client has a permission, such as `services.control_service`.

    If a login is required, it must be a staff member's; a token narrows what its user may.
    Synchronous: may read the database.
    """
    if is_open(request):
        return True
    token, user = token_of(request), request.user
    if token is not None and not token.permits(RIGHTS.get(permission, "")):
        return False
    # To use agents is for everybody who may. An inactive user has no permission.
    is_enough = permission == USE or getattr(user, "is_staff", False)
    return is_enough and user.has_perm(permission)


def why_not(request: HttpRequest, permission: str, *, is_for_staff: bool = True) -> str:
    """What somebody lacks whom `may` refuses, in a sentence in the active language.

    `is_for_staff`: whether the permission alone is not enough; that to use agents always is.
    """
    token, right = token_of(request), RIGHTS.get(permission, "")
    if token is not None and not token.permits(right):
        return gettext("The token lacks the right '{right}'.").format(right=right)
    is_staff = getattr(request.user, "is_staff", False)
    lacks_staff = is_for_staff and permission != USE and not is_staff
    return permissions.needed(permission, is_for_staff=lacks_staff)


def why_not_within(request: HttpRequest) -> str:
    """The same for somebody whom `is_within` refuses."""
    names = ", ".join(sorted(bound_services(request) or ()))
    return gettext("The token is only good for these services: {names}.").format(names=names)


def token_of(request: HttpRequest) -> Any:
    """The `services.tokens.models.Token` of a request to the REST interface, or None."""
    return getattr(request, "auth", None)


def bound_services(request: HttpRequest) -> frozenset[str] | None:
    """The names of the only services that the client's token is good for; None: all."""
    token = token_of(request)
    return frozenset(token.services) if token is not None and token.services else None


def is_within(request: HttpRequest, named: str | None, *, is_about_all: bool) -> bool:
    """Whether a request stays within the services that its token is bound to.

    `named`: the service that it is about, by name or id; None: see `is_about_all`.
    """
    bound = bound_services(request)
    if bound is None:
        return True
    if named is None:
        return not is_about_all
    return Service.objects.filter(Q(pk=named) | Q(name=named)).filter(name__in=bound).exists()


def _is_loopback_address(scope: Mapping[str, Any], end: str) -> bool:
    address = scope.get(end) or ("",)
    return is_loopback(str(address[0]))


def _is_forwarding(name: bytes) -> bool:
    return name in FORWARDING or name.startswith(b"x-forwarded")


def _names_loopback(host: str) -> bool:
    domain, _ = split_domain_port(host)
    return is_loopback(domain)
