"""Where on its host the site is: at its root, or below a path that a proxy hands on. No I/O.

Within the site paths begin at its root, whatever that is: in routes, rules, lists and logs. What
leaves it, for a browser to follow, is an `address`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings


def address(path: str) -> str:
    """A path of the site, as browsers ask for it. `path` begins with a slash."""
    base: str = settings.MYAGENT_BASE_PATH
    return base + path


def path_within(scope: Mapping[str, Any]) -> str:
    """The path of an ASGI scope, from the site's root."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def below(scope: Mapping[str, Any], base: str) -> dict[str, Any]:
    """The scope of a request to a site below `base`, as ASGI has it: in `root_path` and `path`.

    A request that does not name the base is taken as well: health checks come past the proxy, and
    some proxies take the base away.
    """
    within = _within(scope["path"], base)
    raw = _within((scope.get("raw_path") or b"").decode("latin-1"), base)
    is_alike = (within is None) == (raw is None)
    own = scope["path"] if within is None else within
    return {
        **scope,
        "root_path": base,
        "path": base + own,
        # Where the base itself is written in another way, there is no raw path.
        "raw_path": _raw(scope.get("raw_path"), raw, base) if is_alike else None,
    }


def _within(path: str, base: str) -> str | None:
    if path == base:
        return "/"
    return path.removeprefix(base) if path.startswith(f"{base}/") else None


def _raw(path: bytes | None, within: str | None, base: str) -> bytes | None:
    if path is None:
        return None
    return base.encode() + (path if within is None else within.encode("latin-1"))
