"""Admits pages opened from a file: their origin is `null`, so they need a token instead."""

from __future__ import annotations

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext

from agents.runtime.edge import is_loopback

PARAMETER = "token"
"""The query parameter of the socket's address."""

LENGTH = 32


def token() -> str:
    """The installation's token: it stays the same as long as the secret key does."""
    return salted_hmac("myagent.file_pages", "token", algorithm="sha256").hexdigest()[:LENGTH]


def is_token(text: str) -> bool:
    return constant_time_compare(text, token())


def said_at_start(host: str) -> str | None:
    """The line with the token that a start prints; None if such pages are not admitted.

    `host`: the address that the server listens on.
    """
    if settings.MYAGENT_AUTH != "open" or not is_loopback(host):
        return None
    return gettext("Pages opened from a file connect with ?{parameter}={token}").format(
        parameter=PARAMETER, token=token()
    )
