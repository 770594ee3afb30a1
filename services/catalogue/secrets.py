"""A service's environment, encrypted with a key derived from SECRET_KEY.

What was encrypted under one of SECRET_KEY_FALLBACKS can be read as well.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.translation import gettext_noop

from services.errors import ServiceError

PURPOSE = b"myagent services"


def encrypt(environment: Mapping[str, str]) -> str:
    """The text to store; empty for an empty environment."""
    if not environment:
        return ""
    return _fernet_of(settings.SECRET_KEY).encrypt(orjson.dumps(dict(environment))).decode()


def decrypt(stored: str) -> dict[str, str]:
    """Raises `ServiceError` if it was encrypted under another SECRET_KEY."""
    if not stored:
        return {}
    known = MultiFernet(map(_fernet_of, [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]))
    try:
        environment: dict[str, str] = orjson.loads(known.decrypt(stored.encode()))
    except InvalidToken as error:
        raise ServiceError(
            "unreadable_environment",
            gettext_noop(
                "The service's environment was encrypted under another SECRET_KEY: add that one to "
                "SECRET_KEY_FALLBACKS, or set the environment anew."
            ),
        ) from error
    return environment


def is_under_present_key(stored: str) -> bool:
    """Whether no former key is needed to read it."""
    try:
        return not stored or bool(_fernet_of(settings.SECRET_KEY).decrypt(stored.encode()))
    except InvalidToken:
        return False


def _fernet_of(secret: str) -> Fernet:
    key = hashlib.blake2b(secret.encode(), digest_size=32, person=PURPOSE).digest()
    return Fernet(base64.urlsafe_b64encode(key))
