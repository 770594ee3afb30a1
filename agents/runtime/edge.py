"""Which requests are admitted, by their Host and the Origin of their page. No I/O.

The Host check stops DNS rebinding: a page's own domain name that points at 127.0.0.1. The Origin
check stops other sites' pages from using an agent on a visitor's localhost.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.http.request import split_domain_port, validate_host

Headers = Mapping[bytes, bytes]


def headers_of(scope: Mapping[str, Any]) -> dict[bytes, bytes]:
    """The headers of an ASGI scope, names in lower case; of repeated ones the first."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.lower(), value)
    return headers


def is_loopback(host: str) -> bool:
    """Whether a host name or address refers to this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def host_is_allowed(host_header: str, allowed: Sequence[str]) -> bool:
    """IP addresses and localhost pass; names must be allowed."""
    domain, _ = split_domain_port(host_header)
    if not domain:
        return False
    return is_loopback(domain) or _address(domain) is not None or validate_host(domain, allowed)


def origin_is_allowed(
    origin: str | None,
    host_header: str,
    allowed: Iterable[str],
    *,
    is_open_on_loopback: bool,
    is_over_tls: bool = False,
) -> bool:
    """Programs send no Origin. A page's must be the site's own or on the allow list.

    `is_over_tls`: the request is; then a page that came without TLS, which anybody on its way may
    have written, is not the site's own. `is_open_on_loopback`: the site requires no authentication
    and is reached over loopback; then pages from any loopback origin pass, whatever their port.
    """
    if origin is None:
        return True
    if origin in allowed:
        return True
    try:
        parts = urlsplit(origin)
        origin_host = parts.hostname
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not origin_host:
        return False
    if parts.netloc.lower() == host_header.lower():
        return parts.scheme == "https" or not is_over_tls
    return is_open_on_loopback and is_loopback(origin_host)


def is_own_origin(origin: str, host_header: str) -> bool:
    """Whether a page comes from the very address that it asks."""
    return bool(host_header) and origin.lower() in (
        f"{scheme}://{host_header.lower()}" for scheme in ("http", "https")
    )


def client_address(scope: Mapping[str, Any], trusted_proxies: Sequence[str]) -> str:
    """The client's address; behind trusted proxies, the address that the outermost one saw."""
    client = scope.get("client")
    address = str(client[0]) if client else "unknown"
    # A proxy may add a line of its own instead of extending the client's.
    lines = [value for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"]
    forwarded = b",".join(lines).decode("latin-1")
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
    while hops and _is_within(address, trusted_proxies):
        address = hops.pop()
    return address


def counted_as(address: str, trusted_proxies: Sequence[str]) -> str | None:
    """The key under which an address's connections are counted; None: they are not.

    This machine and trusted proxies have many clients and are not counted. IPv6 addresses count by
    their first 64 bits, because a client usually has all addresses of such a network.
    """
    return _counted_as(address, tuple(trusted_proxies))


@lru_cache(maxsize=1024)
def _counted_as(address: str, trusted_proxies: tuple[str, ...]) -> str | None:
    parsed = _address(address)
    if parsed is None:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    if parsed.is_loopback or _is_within(str(parsed), trusted_proxies):
        return None
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False).network_address)


def scheme_of(scope: Mapping[str, Any], trusted_proxies: Sequence[str]) -> str:
    """The scheme of the request; behind a trusted proxy, of the request to the proxy."""
    own = str(scope.get("scheme") or "http")
    client = scope.get("client")
    if not client or not _is_within(str(client[0]), trusted_proxies):
        return own
    lines = [value for name, value in scope["headers"] if name.lower() == b"x-forwarded-proto"]
    # The proxy nearest to us wrote the last entry.
    said = b",".join(lines).decode("latin-1").rpartition(",")[2].strip().lower()
    return said if said in ("http", "https") else own


def _is_within(address: str, networks: Sequence[str]) -> bool:
    parsed = _address(address)
    return parsed is not None and any(
        parsed in ipaddress.ip_network(network, strict=False) for network in networks
    )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
