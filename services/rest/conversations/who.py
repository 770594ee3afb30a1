"""Whose conversations a client of the REST interface may have."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from agents.principals import Principal
from services import access
from services.tokens.judging import JOIN_ALL, SEE_ALL, key_of_user
from services.tokens.models import CONTROL, VIEW


class MayConverse(BasePermission):
    """Whoever may use agents; a login counts for that alone where sockets ask for none."""

    message = ""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.auth is not None or settings.MYAGENT_AUTH != "open":
            if access.may(request, access.USE):
                return True
            self.message = access.why_not(request, access.USE)
            return False
        return access.is_open(request) or bool(request.user and request.user.is_active)


def principal_of(request: Request) -> Principal | None:
    """The client, whom `MayConverse` has let in; None stands for everybody."""
    if access.is_open(request):
        return None
    user, token = request.user, access.token_of(request)
    return Principal(
        key_of_user(user),
        user.get_username(),
        sees_everything=user.has_perm(SEE_ALL) and (token is None or token.permits(VIEW)),
        services=access.bound_services(request),
        acts_everywhere=user.has_perm(JOIN_ALL) and (token is None or token.permits(CONTROL)),
    )
