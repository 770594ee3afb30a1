"""TLS of links over TCP: each end has its own key, and trusts one certificate, the other end's.

The site derives keys and certificates from its SECRET_KEY and the instance's id; it hands the
worker the worker's own, and of the servers' only the certificate. So both ends prove in the
handshake that they belong to the instance, and what agent code can read does not let it pose as
a server. No I/O but for the key, which `ssl` reads from files only.
"""

from __future__ import annotations

import json
import os
import ssl
import tempfile
from dataclasses import dataclass, field

VARIABLE = "MYAGENT_LINK_KEY"
"""The environment variable in which a worker is given its `LinkKey`, as text."""


class BadLinkKey(ValueError):
    """What should be a `LinkKey` is none."""


@dataclass(frozen=True, slots=True)
class LinkKey:
    """`own`: a private key and its certificate; `other`: the certificate of the other end. PEM."""

    own: str = field(repr=False)
    other: str

    @property
    def text(self) -> str:
        return json.dumps([self.own, self.other])

    @classmethod
    def of(cls, text: str) -> LinkKey:
        """Raises `BadLinkKey`."""
        try:
            own, other = json.loads(text)
        except ValueError as error:
            # Without the text, which may be a key.
            raise BadLinkKey("not a pair in JSON") from error
        if not (isinstance(own, str) and isinstance(other, str)):
            raise BadLinkKey("not a pair of texts")
        return cls(own, other)


def take_key() -> LinkKey | None:
    """The key that this process was given; agent code and its children do not inherit it.

    Raises `BadLinkKey`.
    """
    text = os.environ.pop(VARIABLE, "")
    return LinkKey.of(text) if text else None


def context_of(key: LinkKey, *, is_worker: bool) -> ssl.SSLContext:
    """The context with which one end greets the other. Raises `BadLinkKey`, and `OSError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if is_worker else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # The certificate names no host: it is known by itself, and nothing else is trusted.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    if is_worker:
        # Each link proves the key anew: none is resumed.
        context.num_tickets = 0
    try:
        _load(context, key)
    except ssl.SSLError as error:
        raise BadLinkKey(error.reason or str(error)) from error
    return context


def _load(context: ssl.SSLContext, key: LinkKey) -> None:
    with tempfile.NamedTemporaryFile("w", prefix="myagent-link-") as file:
        file.write(key.own)
        file.flush()
        context.load_cert_chain(file.name)
    context.load_verify_locations(cadata=key.other)
