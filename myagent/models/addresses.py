"""The address of a model's server: the parts that may be shown, and the proxy to use."""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from urllib.request import getproxies, proxy_bypass

from myagent.models.masking import address_secrets

OPENAI = "https://api.openai.com/v1"
_SOCKS = ("socks", "socks5", "socks5h")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_PLACE = re.compile(r"([^\s:@\[\]]+|\[[\w:.%]+\])(:\d*)?")
_RESERVED = re.compile(r"[/?#]")


class _Parts(NamedTuple):
    """An address as its author meant it, even if a password in it is not percent-encoded."""

    scheme: str
    userinfo: str
    place: str
    path: str
    query: str
    """What follows the path, including a fragment."""


def address_of(base_url: str | None) -> str:
    """The given address, or else that of `OPENAI_BASE_URL`, or else OpenAI's."""
    return (base_url or os.environ.get("OPENAI_BASE_URL", "").strip() or OPENAI).rstrip("/")


def proxy_for(address: str) -> str | None:
    """The proxy's address according to the environment.

    None if the server is reached directly, for example because of `NO_PROXY`.
    """
    url = _split(address)
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(url.place):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def is_socks(proxy: str) -> bool:
    return _split(proxy).scheme in _SOCKS


def is_web(address: str) -> bool:
    """Whether it begins with http:// or https://."""
    return _split(address).scheme in ("http", "https")


def has_host(address: str) -> bool:
    """Whether it names a host, and maybe a port, in a way that leaves no doubt."""
    parts = _split(address)
    return bool(_PLACE.fullmatch(parts.place)) and not _RESERVED.search(parts.userinfo)


def named(address: str) -> str:
    """The address as it may be logged: without user, password and query."""
    parts = _split(address)
    path = "/…" if _is_doubtful(parts) else parts.path
    place = host_of(address)
    return f"{parts.scheme}://{place}{path}" if parts.scheme else f"{place}{path}"


def host_of(address: str) -> str:
    """The part that people are told: the host, and the port if there is one."""
    parts = _split(address)
    host, colon, port = parts.place.rpartition(":")
    return f"{host}:…" if _is_doubtful(parts) and colon and port.isdecimal() else parts.place


def path_of(address: str) -> str:
    return _split(address).path


def secrets_in(address: str) -> frozenset[str]:
    """The parts of the address that nobody may read, as errors may quote them."""
    parts = _split(address)
    secrets = address_secrets(parts.userinfo, parts.query)
    if not _is_doubtful(parts):
        return secrets
    places = {parts.place} if host_of(address) != parts.place else set()
    return secrets | address_secrets("", parts.path) | places


def _is_doubtful(parts: _Parts) -> bool:
    """Whether the port and the path may be a password: one that has a slash ends with this sign."""
    return "@" in parts.path


def _split(address: str) -> _Parts:
    scheme = _SCHEME.match(address)
    rest = address[scheme.end() :] if scheme else address
    userinfo = ""
    if not _PLACE.fullmatch(_RESERVED.split(rest, maxsplit=1)[0]):
        userinfo, _, rest = rest.rpartition("@")
    place = _RESERVED.split(rest, maxsplit=1)[0]
    path = re.split(r"[?#]", rest[len(place) :], maxsplit=1)[0]
    query = rest[len(place) + len(path) + 1 :]
    return _Parts(scheme[1].lower() if scheme else "", userinfo, place, path, query)
