"""Pages opened from a file: browsers call their origin `null`, so they bring a token instead."""

from __future__ import annotations

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext

from agents.runtime.edge import is_loopback

PARAMETER = "token"
"""Of the socket's address."""

LENGTH = 32


def token() -> str:
    """The installation's: it is the same after a restart, and another one with another key."""
    return salted_hmac("myagent.file_pages", "token", algorithm="sha256").hexdigest()[:LENGTH]


def is_token(text: str) -> bool:
    return constant_time_compare(text, token())


def said_at_start(host: str) -> str | None:
    """The line that tells the token; None where such pages are not let in. `host`: an address."""
    if settings.MYAGENT_AUTH != "open" or not is_loopback(host):
        return None
    return gettext("Pages opened from a file connect with ?{parameter}={token}").format(
        parameter=PARAMETER, token=token()
    )
