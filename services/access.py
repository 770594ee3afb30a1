"""Permissions over HTTP, for the REST interface and the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port

from agents.runtime.edge import is_loopback

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


def is_open(asked: HttpRequest | Mapping[str, Any]) -> bool:
    """Whether no login is required: `MYAGENT_AUTH` is `open`, and the request is local. No I/O."""
    return settings.MYAGENT_AUTH == "open" and is_local(asked)


def may(request: HttpRequest, permission: str) -> bool:
    """Whether the client has a permission, such as `services.control_service`.

    If a login is required, it must be a staff member's. Synchronous: may read the database.
    """
    if is_open(request):
        return True
    user = request.user
    # An inactive user has no permission.
    return bool(getattr(user, "is_staff", False)) and user.has_perm(permission)


def _is_loopback_address(scope: Mapping[str, Any], end: str) -> bool:
    address = scope.get(end) or ("",)
    return is_loopback(str(address[0]))


def _is_forwarding(name: bytes) -> bool:
    return name in FORWARDING or name.startswith(b"x-forwarded")


def _names_loopback(host: str) -> bool:
    domain, _ = split_domain_port(host)
    return is_loopback(domain)
