"""Who stands behind a token or a login, and whether that account may use agents."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

import structlog
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.models import Session
from django.db import Error as DatabaseFailure
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from knox.crypto import hash_token

from agents.principals import Principal
from agents.runtime.explaining import explain
from services.tokens.models import CONTROL, USE, VIEW, Token

logger = structlog.get_logger(__name__)

USE_AGENTS = "services.use_service"
SEE_ALL = "agents.see_conversations"
JOIN_ALL = "agents.join_conversations"
USER = "user:"
"""What the key of a user's principal begins with."""

BACKEND = "django.contrib.auth.backends.ModelBackend"

A_TOKEN = re.compile(r"myagent_[0-9a-f]{64}")
A_SESSION = re.compile(r"[0-9a-z]{32}")

USED_S = timedelta(minutes=1)
"""The exactness of a token's `last_used`."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a client shows: a token, by its hash, or else the key of its login."""

    key: str
    is_token: bool


class Denial(Enum):
    UNKNOWN = auto()
    """The proof is good for nothing: it never was, or is no more."""

    MAY_NOT_USE = auto()
    """It proves who the client is, but that account or token may not use agents."""


Verdict = Principal | Denial


def proof_of_token(text: str) -> Proof | None:
    """None for what can't be a token: nothing is looked up for it."""
    return Proof(hash_token(text), is_token=True) if A_TOKEN.fullmatch(text) else None


def proof_of_session(key: str) -> Proof | None:
    """None for what can't be the key of a login."""
    return Proof(key, is_token=False) if A_SESSION.fullmatch(key) else None


def key_of_user(user: AbstractBaseUser | AnonymousUser) -> str:
    """The key of the user's principal, whatever it comes with."""
    return f"{USER}{user.pk}"


def names_of(keys: Collection[str]) -> dict[str, str]:
    """The names of the users behind the keys of principals. Synchronous."""
    ids = {key: key.removeprefix(USER) for key in keys if key.startswith(USER)}
    names = dict(User.objects.filter(pk__in=ids.values()).values_list("pk", "username"))
    return {key: names[int(pk)] for key, pk in ids.items() if int(pk) in names}


def find(text: str) -> Token | None:
    """The token of an active user, if it is valid now; notes that it is used. Synchronous."""
    proof, now = proof_of_token(text), timezone.now()
    found = None if proof is None else _valid([proof.key], now).get(proof.key)
    if found is not None:
        _note_use([found], now)
    return found


def judge(proofs: Collection[Proof]) -> dict[Proof, Verdict]:
    """The verdict on each. Synchronous: a handful of queries, however many proofs there are.

    Raises `django.db.Error`.
    """
    now = timezone.now()
    tokens = _valid([each.key for each in proofs if each.is_token], now)
    logins = _logged_in([each.key for each in proofs if not each.is_token], now)
    _note_use(tokens.values(), now)
    users: set[int] = {token.user_id for token in tokens.values()}
    users |= {user.pk for user in logins.values()}
    may_use, may_see = _having(USE_AGENTS, users), _having(SEE_ALL, users)
    may_join = _having(JOIN_ALL, may_see)

    def verdict(proof: Proof) -> Verdict:
        token = tokens.get(proof.key) if proof.is_token else None
        user = token.user if token is not None else logins.get(proof.key)
        if user is None:
            return Denial.UNKNOWN
        if user.pk not in may_use or not (token is None or token.permits(USE)):
            return Denial.MAY_NOT_USE
        return Principal(
            key_of_user(user),
            user.get_username(),
            sees_everything=user.pk in may_see and (token is None or token.permits(VIEW)),
            services=frozenset(token.services) if token is not None and token.services else None,
            acts_everywhere=user.pk in may_join and (token is None or token.permits(CONTROL)),
        )

    return {proof: verdict(proof) for proof in proofs}


def staff_logins(proofs: Collection[Proof], permission: str) -> set[Proof]:
    """Those that are logins of staff who have the permission now. Synchronous.

    Raises `django.db.Error`.
    """
    logins = _logged_in([each.key for each in proofs if not each.is_token], timezone.now())
    staff = {key: user.pk for key, user in logins.items() if user.is_staff}
    having = _having(permission, {*staff.values()})
    return {each for each in proofs if not each.is_token and staff.get(each.key) in having}


def _valid(digests: Collection[str], now: datetime) -> dict[str, Token]:
    if not digests:
        return {}
    found = Token.objects.filter(
        Q(expiry=None) | Q(expiry__gt=now), digest__in=digests, user__is_active=True
    )
    return {token.digest: token for token in found.select_related("user")}


def _logged_in(keys: Collection[str], now: datetime) -> dict[str, User]:
    """The active user of each login, unless the password was changed since."""
    if not keys:
        return {}
    sessions = Session.objects.filter(session_key__in=keys, expire_date__gt=now)
    said = {session.session_key: session.get_decoded() for session in sessions}
    ids = {data[SESSION_KEY] for data in said.values() if SESSION_KEY in data}
    users = {str(user.pk): user for user in User.objects.filter(pk__in=ids, is_active=True)}
    return dict(_confirmed(said, users))


def _confirmed(
    said: dict[str, dict[str, str]], users: dict[str, User]
) -> Iterator[tuple[str, User]]:
    for key, data in said.items():
        user = users.get(data.get(SESSION_KEY, ""))
        if user is None or data.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
            continue
        # Those of former keys too: Django renews the hash when it is next asked for a page.
        valid = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
        said_hash = data.get(HASH_SESSION_KEY, "")
        if any(constant_time_compare(said_hash, each) for each in valid):
            yield key, user


def _having(permission: str, users: Collection[int]) -> set[int]:
    if not users:
        return set()
    found = User.objects.with_perm(permission, backend=BACKEND).filter(pk__in=users)
    return {*found.values_list("pk", flat=True)}


def _note_use(tokens: Iterable[Token], now: datetime) -> None:
    """At most one write a minute and token. A write that fails costs nobody the access."""
    due = [
        token.pk for token in tokens if token.last_used is None or now - token.last_used >= USED_S
    ]
    if not due:
        return
    try:
        Token.objects.filter(pk__in=due).update(last_used=now)
    except DatabaseFailure as error:
        logger.warning("token_use_not_noted", error=explain(error))
