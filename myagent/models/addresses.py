"""The address of a model's server: the parts that may be shown, and the proxy to use."""

from __future__ import annotations

import os
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

OPENAI = "https://api.openai.com/v1"
_SOCKS = ("socks", "socks5", "socks5h")


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
    if not proxy or proxy_bypass(_place(url)):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def is_socks(proxy: str) -> bool:
    return _split(proxy).scheme.lower() in _SOCKS


def named(address: str) -> str:
    """The address as it may be logged: without user, password and query."""
    url = _split(address)
    return url._replace(netloc=_place(url), query="", fragment="").geturl()


def host_of(address: str) -> str:
    """The part that people are told: the host, and the port if there is one."""
    return _place(_split(address))


def path_of(address: str) -> str:
    return _split(address).path


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:
        # Brackets without an address: connecting reports what is wrong.
        return SplitResult("", "", "", "", "")


def _place(url: SplitResult) -> str:
    return url.netloc.rpartition("@")[2]
