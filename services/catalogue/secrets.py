"""A service's environment, encrypted with a key derived from SECRET_KEY."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

import orjson
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.utils.translation import gettext_noop

from services.errors import ServiceError

PURPOSE = b"myagent services"


def encrypt(environment: Mapping[str, str]) -> str:
    """The text to store; empty for an empty environment."""
    if not environment:
        return ""
    return _fernet().encrypt(orjson.dumps(dict(environment))).decode()


def decrypt(stored: str) -> dict[str, str]:
    """Raises `ServiceError` if it was encrypted under another SECRET_KEY."""
    if not stored:
        return {}
    try:
        environment: dict[str, str] = orjson.loads(_fernet().decrypt(stored.encode()))
    except InvalidToken as error:
        raise ServiceError(
            "unreadable_environment",
            gettext_noop(
                "The service's environment was encrypted under another SECRET_KEY: set it anew."
            ),
        ) from error
    return environment


def _fernet() -> Fernet:
    key = hashlib.blake2b(settings.SECRET_KEY.encode(), digest_size=32, person=PURPOSE).digest()
    return Fernet(base64.urlsafe_b64encode(key))
