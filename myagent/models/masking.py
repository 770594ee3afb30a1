"""Removes keys and passwords from the text of errors. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

MIN_KEY = 8
"""Minimum length of a key; shorter values are placeholders."""

MIN_PART = 4
"""Minimum length of a part of an address that is removed wherever it occurs."""

MASK = "…"

_MAX_ERRORS = 100
"""Chained errors that are looked at."""


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text with each secret replaced by an ellipsis."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def secrets_of(error: BaseException) -> frozenset[str]:
    """The secrets of the error (see `ModelError`), and of all errors chained to it."""
    found: frozenset[str] = frozenset()
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left and len(seen) < _MAX_ERRORS:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        secrets = getattr(each, "secrets", None)
        if isinstance(secrets, frozenset):
            found |= {secret for secret in secrets if secret and isinstance(secret, str)}
        left += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions
    return found


def key_secrets(key: str) -> frozenset[str]:
    """The key as errors may quote it; none if it is only a placeholder."""
    if len(key) < MIN_KEY:
        return frozenset()
    return frozenset({key, key.encode("unicode_escape").decode()})


def address_secrets(userinfo: str, query: str) -> frozenset[str]:
    """The secret parts of an address as errors may quote them.

    Not only whole: an address that is not valid is quoted in pieces.
    """
    user, colon, password = userinfo.partition(":")
    secret = password if colon else user
    values = [each.partition("=")[2] or each for each in re.split(r"[&#?]", query)]
    pieces = [secret, *re.split(r"[/?#@:]", secret), query, *values]
    spelled = {form for each in pieces for form in (each, quote(each, safe=""), unquote(each))}
    found = {each for each in spelled if len(each) >= MIN_PART}
    return frozenset(found | ({f"{userinfo}@"} if userinfo else set()))
