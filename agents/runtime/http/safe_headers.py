"""What every response says to the browser that shows it. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

SAFE_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    # A page has a policy of its own, which allows what it needs; other responses need nothing.
    (
        b"content-security-policy",
        b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]
"""Names in lower case. A response that has one of them keeps its own."""

SAFE_LINES = b"".join(b"%s: %s\r\n" % header for header in SAFE_HEADERS)
"""The same as they are sent."""


def completed(headers: Iterable[tuple[bytes, bytes]], more: Headers = SAFE_HEADERS) -> Headers:
    """The headers of a response, and those of `more` that it does not have."""
    found = list(headers)
    names = {name.lower() for name, _ in found}
    return [*found, *(header for header in more if header[0] not in names)]
