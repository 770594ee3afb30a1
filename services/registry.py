"""Services put on the list, changed and taken off it: what every door calls.

Synchronous. What is refused raises `services.errors.ServiceError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from agents.ids import new_id
from services import secrets
from services.errors import Conflict, ServiceError, UnknownService
from services.models import Service

NAME = re.compile(r"[^\W_][\w.-]*")
MAX_NAME = 100
TAG = re.compile(r"[\w.:-]{1,50}")
MAX_TAGS = 50
MAX_REPLICAS = 100
MAX_DESCRIPTION = 10_000
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

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


def find(name_or_id: str) -> Service:
    """The service of that id or name. Raises `UnknownService`."""
    # What can't be printed, such as half a character, can't always be asked for either.
    if name_or_id.isprintable():
        # MySQL compares without regard to case.
        found = Service.objects.filter(Q(pk=name_or_id) | Q(name=name_or_id))
        # The id goes first: somebody may have given another service that name.
        for service in sorted(found, key=lambda service: service.pk != name_or_id):
            if name_or_id in (service.pk, service.name):
                return service
    raise UnknownService(
        "unknown_service",
        gettext_noop("There is no service '{name}'."),
        name=name_or_id[:MAX_NAME],
    )


def register(
    *, environment: Mapping[str, str] | None = None, is_confined: bool = False, **fields: Any
) -> Service:
    """A new service; with `auto_start`, it is desired to run.

    `fields`: of `FIELDS`, with `name` and either `agent_factory_path` or `url`.
    `is_confined`: the asker comes over the network, so the file must lie below
    `MYAGENT_AGENT_DIRS`.
    """
    service = Service(id=new_id(), **_clean(fields, is_confined=is_confined))
    if bool(service.agent_factory_path) == bool(service.url):
        raise ServiceError(
            "invalid",
            gettext_noop("Give either an agent file or the address of an external service."),
            field="agent_factory_path",
        )
    service.environment = secrets.encrypt(_variables(environment or {}))
    if service.auto_start or service.is_external:
        service.desired = Service.Desired.RUNNING
        service.status = Service.Status.STARTING
    try:
        with transaction.atomic():
            service.save(force_insert=True)
    except IntegrityError as error:
        raise _name_is_taken(service.name) from error
    return service


def change(
    service: Service,
    *,
    environment: Mapping[str, str] | None = None,
    is_confined: bool = False,
    **fields: Any,
) -> Service:
    """Sets the given fields. What concerns the processes holds from their next start on.

    `environment`, where given, replaces the whole of it.
    """
    # What stays as it is passes: its file may have been registered from elsewhere.
    changed = {
        name: value
        for name, value in fields.items()
        if name not in FIELDS or value != getattr(service, name)
    }
    cleaned = _clean(changed, is_confined=is_confined)
    source = {
        "agent_factory_path": service.agent_factory_path,
        "url": service.url,
    } | cleaned
    if bool(source["agent_factory_path"]) == bool(source["url"]) or (
        bool(source["url"]) != service.is_external
    ):
        raise ServiceError(
            "invalid",
            gettext_noop("A service keeps its kind: an agent file, or an external address."),
            field="agent_factory_path",
        )
    if cleaned.get("name", service.name) != service.name:
        raise Conflict(
            "name_is_fixed",
            gettext_noop("A service keeps its name: its conversations are kept under it."),
            field="name",
        )
    if environment is not None:
        cleaned["environment"] = secrets.encrypt(_variables(environment))
    changes = cleaned | {"revision": F("revision") + 1, "updated_at": Now()}
    if not Service.objects.filter(pk=service.pk, unregistered_at__isnull=True).update(**changes):
        service.refresh_from_db()  # It may be gone by now.
        raise Conflict(
            "unregistered",
            gettext_noop("The service '{name}' is being unregistered."),
            name=service.name,
        )
    service.refresh_from_db()
    return service


def unregister(service: Service) -> None:
    """Takes it off the list: its instances stop, its runs end, then its row goes.

    The supervisor does all that; an external service goes at once.
    """
    if service.is_external:
        service.delete()
        return
    Service.objects.filter(pk=service.pk).update(
        desired=Service.Desired.STOPPED,
        unregistered_at=Now(),
        revision=F("revision") + 1,
    )


def _clean(fields: Mapping[str, Any], *, is_confined: bool) -> dict[str, Any]:
    """The fields, checked, in the form in which they are stored."""
    unknown = set(fields) - set(FIELDS)
    if unknown:
        raise TypeError(f"a service has no field {', '.join(sorted(unknown))}")
    cleaned = dict(fields)
    for name, value in fields.items():
        if (check := _CHECKS.get(name)) is not None:
            cleaned[name] = check(value)
    if cleaned.get("agent_factory_path"):
        cleaned["agent_factory_path"] = _file(
            cleaned["agent_factory_path"], is_confined=is_confined
        )
    return cleaned


def _invalid(field: str, template: str, **values: Any) -> ServiceError:
    return ServiceError("invalid", template, field=field, **values)


def _name(value: str) -> str:
    if len(value) > MAX_NAME or not NAME.fullmatch(value):
        raise _invalid(
            "name",
            gettext_noop(
                "'{name}' can't be a name: use up to 100 letters, digits, dots, dashes and "
                "underscores, and begin with a letter or digit."
            ),
            name=value[:MAX_NAME],
        )
    return value


def _description(value: str) -> str:
    if len(value) > MAX_DESCRIPTION or not _is_storable(value):
        raise _invalid(
            "description",
            gettext_noop("The description must be text, of at most 10000 characters."),
        )
    return value


def _is_storable(text: str) -> bool:
    """Whether every database takes it: NUL is no text, nor is half a character."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _tags(value: Iterable[str]) -> list[str]:
    tags = sorted(set(value))
    if len(tags) > MAX_TAGS:
        raise _invalid("tags", gettext_noop("A service has at most 50 tags."))
    for tag in tags:
        if not TAG.fullmatch(tag):
            raise _invalid(
                "tags",
                gettext_noop(
                    "'{tag}' can't be a tag: use up to 50 letters, digits, dots, colons, dashes "
                    "and underscores."
                ),
                tag=tag[:50],
            )
    return tags


def _url(value: str) -> str:
    if not value:
        return ""
    try:
        parts = urlsplit(value)
        is_address = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or len(value) > 1024 or not value.isprintable():
        raise _invalid("url", gettext_noop("The address must be a ws:// or wss:// URL."))
    return value


def _host(value: str) -> str:
    if not value or len(value) > 191 or not re.fullmatch(r"[\w.:-]+", value, re.ASCII):
        raise _invalid("host", gettext_noop("The host must be a name or an address."))
    return value


def _between(field: str, low: float, high: float) -> Any:
    def check(value: Any) -> Any:
        if value is not None and not low <= value <= high:
            raise _invalid(
                field,
                gettext_noop("{field} must be between {low} and {high}."),
                low=f"{low:g}",
                high=f"{high:g}",
            )
        return value

    return check


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    for name, value in environment.items():
        if not VARIABLE.fullmatch(name) or not _is_storable(value):
            raise _invalid(
                "environment",
                gettext_noop("'{name}' can't be an environment variable with that value."),
                name=name[:100],
            )
    return dict(environment)


def _file(value: str, *, is_confined: bool) -> str:
    """The file's absolute path, links resolved."""
    path = Path(value)
    if not _is_storable(value) or len(value) > 1024:
        raise _invalid("agent_factory_path", gettext_noop("That can't be the path of a file."))
    if is_confined:
        return _confined(path)
    path = path.expanduser().absolute()
    if not path.is_file():
        raise _invalid(
            "agent_factory_path", gettext_noop("There is no file {path}."), path=str(path)
        )
    return str(path)


def _confined(path: Path) -> str:
    """A path from the network: what lies outside the allowed folders is not even looked at."""
    if not settings.MYAGENT_AGENT_DIRS:
        raise _invalid(
            "agent_factory_path",
            gettext_noop(
                "Agent files can't be registered from here: MYAGENT_AGENT_DIRS names no folder."
            ),
        )
    folders = [Path(folder).resolve() for folder in settings.MYAGENT_AGENT_DIRS]
    candidates = [path] if path.is_absolute() else [folder / path for folder in folders]
    for candidate in candidates:
        try:
            resolved = candidate.resolve()
            is_inside = any(resolved.is_relative_to(folder) for folder in folders)
            if is_inside and resolved.is_file():
                return str(resolved)
        except (OSError, RuntimeError):
            continue  # A name longer than any file's, or links in a circle.
    raise _invalid(
        "agent_factory_path",
        gettext_noop("There is no file '{path}' below the folders of MYAGENT_AGENT_DIRS."),
        path=str(path),
    )


def _name_is_taken(name: str) -> Conflict:
    return Conflict(
        "name_taken",
        gettext_noop("There is a service '{name}' already; choose another name."),
        field="name",
        name=name,
    )


_CHECKS: dict[str, Any] = {
    "name": _name,
    "description": _description,
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
