"""Issues, lists and revokes tokens, for all interfaces."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from agents.runtime import bell
from services.errors import Conflict, ServiceError
from services.models import Service
from services.tokens.models import MAX_NAME, RIGHTS, Token

BELL = "tokens"
"""Rung when a token is revoked."""

LONGEST = timedelta(days=36_500)

MOST_TOKENS = 1000
"""Of one user."""


def issue(
    user: User,
    name: str,
    *,
    services: Sequence[str] = (),
    rights: Sequence[str] = (),
    expires: timedelta | None = None,
) -> tuple[Token, str]:
    """The token's row, and the token itself, which nobody can find out later.

    `rights`: all if empty; `services`: names, likewise; `expires`: never if None. Raises
    `ServiceError`.
    """
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME:
        template = gettext_noop("A token needs a name of 1 to {most} characters.")
        raise ServiceError("invalid", template, field="name", most=MAX_NAME)
    if unknown := sorted({*rights} - {*RIGHTS}):
        template = gettext_noop("There is no right '{right}'. There are: {rights}.")
        known = ", ".join(RIGHTS)
        raise ServiceError("invalid", template, field="rights", right=unknown[0], rights=known)
    if expires is not None and not timedelta() < expires <= LONGEST:
        template = gettext_noop("A token lasts from 1 second to 100 years.")
        raise ServiceError("invalid", template, field="expires_in")
    _check_services(services)
    if Token.objects.filter(user=user).count() >= MOST_TOKENS:
        template = gettext_noop("There are too many tokens: revoke some first.")
        raise Conflict("too_many_tokens", template)
    token, text = Token.objects.create(
        user,
        expiry=expires,
        name=name,
        services=sorted({*services}),
        rights=[right for right in RIGHTS if right in rights or not rights],
    )
    return token, text


def _check_services(names: Sequence[str]) -> None:
    known = {*Service.objects.filter(name__in=names).values_list("name", flat=True)}
    if missing := sorted({*names} - known):
        template = gettext_noop("There is no service '{name}'.")
        raise ServiceError("invalid", template, field="services", name=missing[0])


def tokens_of(user: User | None) -> QuerySet[Token]:
    """The user's tokens, the newest first; those of everybody for None."""
    found: QuerySet[Token] = Token.objects.select_related("user")
    return found if user is None else found.filter(user=user)


def revoke(tokens: QuerySet[Token]) -> int:
    """Revokes these; returns how many there were. Open sockets close within seconds."""
    count, _ = tokens.delete()
    if count:
        bell.ring(BELL)
    return count
