"""The valid values of a service's fields. No I/O.

What is refused raises `services.errors.ServiceError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_noop

from services.errors import ServiceError

MAX_NAME = 100
MAX_DESCRIPTION = 10_000
MAX_PATH = 1024
MAX_URL = 1024
MAX_HOST = 191
MAX_TAGS = 50
MAX_TAG = 50

NAME = re.compile(r"[^\W_][\w.-]*")
LABEL = r"(?!-)[\w-]{1,63}(?<!-)"
HOST_NAME = re.compile(rf"({LABEL}\.)*(?!\d+\.?$){LABEL}\.?", re.ASCII)
"""A name whose last part is all digits would be taken for an address."""

TAG = re.compile(rf"[\w.:-]{{1,{MAX_TAG}}}")
NOT_IN_URLS = re.compile(r"""[\s"'`<>\\]""")

RANGES: Mapping[str, tuple[float, float]] = {
    "port": (1, 65535),
    "replicas": (1, 100),
    "weight": (0, 1000),
    "max_sessions": (1, 1_000_000),
    "session_timeout_s": (1, 1e9),
    "max_restart_count": (0, 1000),
    "restart_delay_s": (0, 3600),
    "memory_limit_mb": (16, 10_000_000),
}
"""The minimum and maximum of the numbers."""

CONFIGURATION = (
    "max_sessions",
    "session_timeout_s",
    "auto_restart",
    "max_restart_count",
    "restart_delay_s",
    "memory_limit_mb",
    "python",
)
"""Settings of the instances, which the REST interface shows under `config`."""

FIELDS = (
    "name",
    "description",
    "agent_factory_path",
    "url",
    "host",
    "port",
    "tags",
    "replicas",
    "weight",
    "auto_start",
    *CONFIGURATION,
)
"""The fields that `register` and `change` accept, besides `environment`."""


def checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in the form in which they are stored; whether a file exists is not checked."""
    unknown = set(fields) - set(FIELDS)
    if unknown:
        raise TypeError(f"a service has no field {', '.join(sorted(unknown))}")
    return {
        name: value if (check := _CHECKS.get(name)) is None else check(value)
        for name, value in fields.items()
    }


def invalid(field: str, template: str, **values: Any) -> ServiceError:
    return ServiceError("invalid", template, field=field, **values)


def _name(value: str) -> str:
    if len(value) > MAX_NAME or not NAME.fullmatch(value):
        raise invalid(
            "name",
            gettext_noop(
                "'{name}' can't be a name: use up to 100 letters, digits, dots, dashes and "
                "underscores, and begin with a letter or digit."
            ),
            name=value[:MAX_NAME],
        )
    return value


def _description(value: str) -> str:
    if len(value) > MAX_DESCRIPTION or not is_storable(value):
        raise invalid(
            "description",
            gettext_noop("The description must be text, of at most 10000 characters."),
        )
    return value


def is_storable(text: str) -> bool:
    """Whether every database accepts it: NUL and lone surrogates are refused."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _tags(value: Iterable[str]) -> list[str]:
    tags = sorted(set(value))
    if len(tags) > MAX_TAGS:
        raise invalid("tags", gettext_noop("A service has at most 50 tags."))
    for tag in tags:
        if not TAG.fullmatch(tag):
            raise invalid(
                "tags",
                gettext_noop(
                    "'{tag}' can't be a tag: use up to 50 letters, digits, dots, colons, dashes "
                    "and underscores."
                ),
                tag=tag[:MAX_TAG],
            )
    return tags


def _path(value: str) -> str:
    if not is_storable(value) or len(value) > MAX_PATH:
        raise invalid("agent_factory_path", gettext_noop("That can't be the path of a file."))
    return value


def _python(value: str) -> str:
    if not is_storable(value) or len(value) > MAX_PATH:
        raise invalid("python", gettext_noop("That can't be the path of an interpreter."))
    return value


def _url(value: str) -> str:
    if not value:
        return ""
    try:
        parts = urlsplit(value)
        is_address = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
        # RFC 6455, section 3.
        is_address = is_address and "#" not in value
    except ValueError:
        is_address = False
    # Checked first, as `urlsplit` silently drops tabs and line ends.
    is_clean = value.isprintable() and not NOT_IN_URLS.search(value)
    if not is_address or not is_clean or len(value) > MAX_URL:
        raise invalid("url", gettext_noop("The address must be a ws:// or wss:// URL."))
    if "@" in parts.netloc:
        raise invalid(
            "url",
            gettext_noop("The address is shown to everybody: leave the name and password out."),
        )
    return value


def _host(value: str) -> str:
    if len(value) > MAX_HOST or not (_is_address(value) or HOST_NAME.fullmatch(value)):
        raise invalid("host", gettext_noop("The host must be a name or an address."))
    return value


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    # After a '%' comes a network interface of some machine, which may be any text.
    return "%" not in text


def _in_range(field: str) -> Callable[[Any], Any]:
    low, high = RANGES[field]

    def check(value: Any) -> Any:
        if value is not None and not low <= value <= high:
            raise invalid(
                field,
                gettext_noop("{field} must be between {low} and {high}."),
                low=f"{low:g}",
                high=f"{high:g}",
            )
        return value

    return check


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "description": _description,
    "agent_factory_path": _path,
    "tags": _tags,
    "python": _python,
    "url": _url,
    "host": _host,
} | {field: _in_range(field) for field in RANGES}
