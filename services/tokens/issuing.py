"""Issues, lists and revokes tokens, for all interfaces."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.translation import gettext, gettext_noop

from agents.runtime import bell
from services import access, permissions
from services.errors import Conflict, ServiceError
from services.models import Service
from services.tokens.models import MAX_NAME, RIGHTS, USE, Token

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


def warnings_about(user: User, rights: Sequence[str]) -> list[str]:
    """Why a token of this user can't do what `rights` name, in the active language.

    Where they name none, a token is made to talk to agents at least.
    """
    wanted = rights or (USE,)
    found = [_lacks(user, right) for right in wanted if not _has_some_of(user, right)]
    if found:
        hint = gettext(
            "That can be granted in the admin, under Users, {user}; the token can stay as it is."
        )
        found.append(hint.format(user=user.get_username()))
    return found


def _has_some_of(user: User, right: str) -> bool:
    """Whether there is anything that the user may, of what the right is for."""
    return (right == USE or user.is_staff) and any(
        user.has_perm(permission) for permission, its in access.RIGHTS.items() if its == right
    )


def _lacks(user: User, right: str) -> str:
    permission = next(permission for permission, its in access.RIGHTS.items() if its == right)
    if not user.is_active:
        sentence = gettext("'{right}' has no effect: the account {user} is not active.")
    elif right != USE and not user.is_staff:
        sentence = gettext(
            "'{right}' has no effect: {user} needs a staff account and the permission '{name}' "
            "({permission})."
        )
    else:
        sentence = gettext(
            "'{right}' has no effect: {user} needs the permission '{name}' ({permission})."
        )
    return sentence.format(
        right=right,
        user=user.get_username(),
        name=permissions.name_of(permission),
        permission=permission,
    )


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
