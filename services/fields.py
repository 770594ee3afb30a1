"""What the fields of a service may hold. No I/O.

What is refused raises `services.errors.ServiceError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_noop

from services.errors import ServiceError

NAME = re.compile(r"[^\W_][\w.-]*")
MAX_NAME = 100
TAG = re.compile(r"[\w.:-]{1,50}")
MAX_TAGS = 50
NOT_IN_URLS = re.compile(r"""[\s"'`<>\\]""")
MAX_REPLICAS = 100
MAX_DESCRIPTION = 10_000

CONFIGURATION = (
    "max_sessions",
    "session_timeout_s",
    "auto_restart",
    "max_restart_count",
    "restart_delay_s",
    "memory_limit_mb",
)
"""How the instances are run: what the REST interface shows under `config`."""

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
"""What `register` and `change` take, besides `environment`."""


def checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in the form in which they are stored; whether a file is there is not asked."""
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
    """Whether every database takes it: NUL is no text, nor is half a character."""
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
                tag=tag[:50],
            )
    return tags


def _path(value: str) -> str:
    if not is_storable(value) or len(value) > 1024:
        raise invalid("agent_factory_path", gettext_noop("That can't be the path of a file."))
    return value


def _url(value: str) -> str:
    if not value:
        return ""
    try:
        parts = urlsplit(value)
        is_address = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    # Seen before `urlsplit` drops tabs and ends of lines without a word.
    is_clean = value.isprintable() and not NOT_IN_URLS.search(value)
    if not is_address or not is_clean or len(value) > 1024:
        raise invalid("url", gettext_noop("The address must be a ws:// or wss:// URL."))
    if "@" in parts.netloc:
        raise invalid(
            "url",
            gettext_noop("The address is shown to everybody: leave the name and password out."),
        )
    return value


def _host(value: str) -> str:
    if not value or len(value) > 191 or not re.fullmatch(r"[\w.:-]+", value, re.ASCII):
        raise invalid("host", gettext_noop("The host must be a name or an address."))
    return value


def _between(field: str, low: float, high: float) -> Any:
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


_CHECKS: dict[str, Any] = {
    "name": _name,
    "description": _description,
    "agent_factory_path": _path,
    "tags": _tags,
    "url": _url,
    "host": _host,
    "port": _between("port", 1, 65535),
    "replicas": _between("replicas", 1, MAX_REPLICAS),
    "weight": _between("weight", 0, 1000),
    "max_sessions": _between("max_sessions", 1, 1_000_000),
    "session_timeout_s": _between("session_timeout_s", 1, 1e9),
    "max_restart_count": _between("max_restart_count", 0, 1000),
    "restart_delay_s": _between("restart_delay_s", 0, 3600),
    "memory_limit_mb": _between("memory_limit_mb", 16, 10_000_000),
}
