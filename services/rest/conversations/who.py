"""Whose conversations a client of the REST interface may have."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from agents.principals import Principal
from agents.sockets.handshake import PRINCIPAL
from services.access import is_open

SEE_ALL = "agents.see_conversations"


class MayConverse(BasePermission):
    """Whoever is known, and everybody where nobody has to authenticate."""

    def has_permission(self, request: Request, view: Any) -> bool:
        is_known = getattr(request, "scope", {}).get(PRINCIPAL) is not None
        return is_known or is_open(request) or bool(request.user and request.user.is_active)


def principal_of(request: Request) -> Principal | None:
    """The client, whom `MayConverse` has let in; None stands for everybody."""
    principal: Principal | None = getattr(request, "scope", {}).get(PRINCIPAL)
    if principal is not None or is_open(request):
        return principal
    user = request.user
    sees_everything = user.has_perm(SEE_ALL)
    return Principal(f"user:{user.pk}", user.get_username(), sees_everything=sees_everything)
