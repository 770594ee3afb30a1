"""The keys of links over TCP, derived from SECRET_KEY and the instance's id: nothing is stored.

A worker that was started under a former SECRET_KEY keeps the keys that it was given: it is dialled
with those of SECRET_KEY_FALLBACKS.

Each instance has two, the worker's and that of all servers and supervisors that dial it. The
certificates are the same wherever they are made, so that each end can trust exactly one.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from myagent.worker.tls import LinkKey, context_of

ALWAYS = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""A link's key is of use while its instance lives, which no clock decides."""

CONTEXTS_KEPT = 256


def key_of_worker(instance_id: str) -> LinkKey:
    """What the instance's worker is given when it is started."""
    return _link_key("worker", "servers", instance_id, settings.SECRET_KEY)


def key_of_servers(instance_id: str, secret: str | None = None) -> LinkKey:
    """What servers and supervisors dial the instance with; `secret`: another SECRET_KEY."""
    return _link_key("servers", "worker", instance_id, secret or settings.SECRET_KEY)


def dialling_contexts(instance_id: str) -> Iterator[ssl.SSLContext]:
    """The present one, then those for a worker of a former SECRET_KEY. Raises `OSError`."""
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        yield _dialling_context(instance_id, str(secret))


@lru_cache(CONTEXTS_KEPT)
def _dialling_context(instance_id: str, secret: str) -> ssl.SSLContext:
    return context_of(key_of_servers(instance_id, secret), is_worker=False)


def _link_key(own: str, other: str, instance_id: str, secret: str) -> LinkKey:
    ours = _identity(own, instance_id, secret)
    return LinkKey("".join(ours), _identity(other, instance_id, secret)[1])


def _identity(role: str, instance_id: str, secret: str) -> tuple[str, str]:
    """A private key and its certificate, PEM."""
    purpose = f"myagent link/{role}/{instance_id}".encode()
    derive = HKDF(hashes.SHA256(), length=32, salt=None, info=purpose)
    key = Ed25519PrivateKey.from_private_bytes(derive.derive(secret.encode()))
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private.decode(), _certificate(role, key)


def _certificate(role: str, key: Ed25519PrivateKey) -> str:
    # Slow to import, and only links over TCP need it.
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"myagent {role}")])
    begin, end = ALWAYS
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(end)
        .sign(key, None)
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()
