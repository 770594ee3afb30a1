"""Where traces are sent, as OpenTelemetry's own settings say. No I/O but reading certificates.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

from django.conf import settings

PATH = "/v1/traces"

NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.common")

EXPORTER = "otlp"

PROTOCOL = "http/protobuf"

COMPRESSIONS = ("none", "gzip")

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class DestinationError(ValueError):
    """A setting is wrong: a sentence, without what may be a secret."""


@dataclass(frozen=True, slots=True)
class Destination:
    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    is_compressed: bool = False
    trust: ssl.SSLContext | None = None
    """None: as the system does."""

    @property
    def host(self) -> str:
        """For the log: an address may have keys in it."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


def configured() -> Destination:
    """Raises `DestinationError`, also where the packages for it are not installed."""
    if not _is_installed():
        raise DestinationError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but what sends traces is not installed: "
            "pip install 'myagent-site[otel]'."
        )
    resource_attributes()
    if not {each.strip().lower() for each in settings.OTEL_TRACES_EXPORTER} <= {EXPORTER}:
        raise DestinationError("OTEL_TRACES_EXPORTER must be otlp or none: the site has no other.")
    if settings.OTEL_EXPORTER_OTLP_PROTOCOL.strip() not in ("", PROTOCOL):
        raise DestinationError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL must be {PROTOCOL}: traces are sent over HTTP."
        )
    compression = settings.OTEL_EXPORTER_OTLP_COMPRESSION.strip().lower() or COMPRESSIONS[0]
    if compression not in COMPRESSIONS:
        raise DestinationError("OTEL_EXPORTER_OTLP_COMPRESSION must be none or gzip.")
    return Destination(_url(), _headers(), compression == "gzip", _trust())


def resource_attributes() -> dict[str, str]:
    """What the environment says of all traces. Raises `DestinationError`."""
    return _pairs("OTEL_RESOURCE_ATTRIBUTES")


def _is_installed() -> bool:
    try:
        return all(find_spec(name) is not None for name in NEEDED)
    except ImportError:
        return False


def _url() -> str:
    name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    whole = getattr(settings, name).strip()
    if whole:
        return _checked(name, whole)
    name = "OTEL_EXPORTER_OTLP_ENDPOINT"
    return _checked(name, getattr(settings, name).strip()).rstrip("/") + PATH


def _checked(name: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or re.search(r"\s", url):
        raise DestinationError(f"{name} must be an address as http://HOST:4318.")
    return url


def _headers() -> dict[str, str]:
    name = "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
    name = name if getattr(settings, name) else "OTEL_EXPORTER_OTLP_HEADERS"
    headers = _pairs(name)
    for header, value in headers.items():
        if not HEADER_NAME.fullmatch(header) or not (value.isascii() and value.isprintable()):
            raise DestinationError(f"{name} has a header that can't be sent.")
    return headers


def _pairs(name: str) -> dict[str, str]:
    """Raises `DestinationError`."""
    found = {}
    for number, item in enumerate(getattr(settings, name).split(","), 1):
        if not item.strip():
            continue
        key, is_pair, value = item.partition("=")
        if not is_pair or not key.strip():
            raise DestinationError(f"{name} must be NAME=VALUE,NAME=VALUE; part {number} is not.")
        found[unquote(key.strip())] = unquote(value.strip())
    return found


def _trust() -> ssl.SSLContext | None:
    path = settings.OTEL_EXPORTER_OTLP_CERTIFICATE
    if not path:
        return None
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise DestinationError(f"OTEL_EXPORTER_OTLP_CERTIFICATE can't be read: {reason}.") from None
