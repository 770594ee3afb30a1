"""Registers, changes and unregisters services: called by every interface.

Synchronous. What is refused raises `services.errors.ServiceError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_noop

from agents.runtime.ids import new_id
from services import doorbell
from services.catalogue import agent_files, interpreters, own_addresses, ports, secrets
from services.catalogue import environment as variables
from services.errors import Conflict, ServiceError, UnknownService, being_unregistered
from services.fields import CONFIGURATION, FIELDS, MAX_NAME, checked
from services.models import Service

__all__ = ["CONFIGURATION", "FIELDS", "change", "find", "register", "unregister"]


def find(name_or_id: str) -> Service:
    """The service of that id or name. Raises `UnknownService`."""
    # Unprintable text, such as a lone surrogate, can't always be used in a query.
    if name_or_id.isprintable():
        # MySQL compares without regard to case.
        found = Service.objects.filter(Q(pk=name_or_id) | Q(name=name_or_id))
        # The id comes first: another service may have been given it as its name.
        for service in sorted(found, key=lambda service: service.pk != name_or_id):
            if name_or_id in (service.pk, service.name):
                return service
    raise _unknown(name_or_id)


def register(
    *, environment: Mapping[str, str] | None = None, is_confined: bool = False, **fields: Any
) -> Service:
    """Registers a service; with `auto_start`, it is to be started.

    `fields`: of `FIELDS`, with `name` and either `agent_factory_path` or `url`. `is_confined`: the
    request comes over the network, so the file must be below `MYAGENT_AGENT_DIRS`,
    `MYAGENT_ENV_ALLOWED` must name the variables, and no interpreter can be chosen.
    """
    service = Service(id=new_id(), **_clean(fields, is_confined=is_confined))
    if bool(service.agent_factory_path) == bool(service.url):
        raise ServiceError(
            "invalid",
            gettext_noop("Give either an agent file or the address of an external service."),
            field="agent_factory_path",
        )
    service.environment = secrets.encrypt(
        variables.checked(environment or {}, is_confined=is_confined)
    )
    if service.auto_start or service.is_external:
        service.desired = Service.Desired.RUNNING
        service.status = Service.Status.STARTING
    with transaction.atomic():
        if not service.is_external:
            ports.claim(service.name, service.host, service.port)
        _insert(service)
    doorbell.announce()
    return service


def _insert(service: Service) -> None:
    try:
        with transaction.atomic():
            service.save(force_insert=True)
    except IntegrityError as error:
        raise _name_is_taken(service.name) from error


def change(
    service: Service,
    *,
    environment: Mapping[str, str] | None = None,
    keeps_environment: bool = False,
    is_confined: bool = False,
    **fields: Any,
) -> Service:
    """Sets the given fields. Those that concern the processes take effect at their next start.

    `environment`, if given, replaces the whole environment; with `keeps_environment` it is added to
    what is set. `is_confined`: as with `register`.
    """
    # Unchanged fields pass: the file may have been registered by another interface. They are stored
    # nevertheless: the row may have changed since it was read.
    unchanged = {
        name: value
        for name, value in fields.items()
        if name in FIELDS and value == getattr(service, name)
    }
    changed = {name: value for name, value in fields.items() if name not in unchanged}
    cleaned = unchanged | _clean(changed, is_confined=is_confined)
    _refuse_other_kind(service, cleaned)
    _refuse_other_name(service, cleaned)
    if environment is not None:
        # Only the fields given now are checked: whoever set the others may have been allowed to.
        given = variables.checked(environment, is_confined=is_confined)
        kept = secrets.decrypt(service.environment) if keeps_environment else {}
        cleaned["environment"] = secrets.encrypt(kept | given)
    return _store(service, cleaned)


def _store(service: Service, cleaned: Mapping[str, Any]) -> Service:
    """The service, read again. Raises `UnknownService`; `Conflict` if it is being unregistered."""
    row = Service.objects.filter(pk=service.pk, unregistered_at__isnull=True)
    with transaction.atomic():
        if {"host", "port"} & set(cleaned):
            _claim_port(row, cleaned)
        has_changed = doorbell.change(row, **cleaned, updated_at=Now())
    try:
        service.refresh_from_db()
    except Service.DoesNotExist as error:
        raise _unknown(service.name) from error
    if not has_changed:
        raise being_unregistered(service.name)
    return service


def _claim_port(row: QuerySet[Service], cleaned: Mapping[str, Any]) -> None:
    """What is not given comes from the row, locked: it may have changed since it was read."""
    service = row.select_for_update().first()
    if service is not None and not service.is_external:
        host, port = cleaned.get("host", service.host), cleaned.get("port", service.port)
        if (host, port) != (service.host, service.port):
            ports.claim(service.name, host, port)


def unregister(service: Service) -> None:
    """Removes it from the list: its instances stop, its runs end, then its row is deleted.

    The supervisor does all that; an external service is deleted at once. The object that is given
    tells what was asked: its row may be gone already.
    """
    if service.is_external:
        # The owners of its sessions stay known: it may be registered again.
        service.delete()
        doorbell.announce()
        return
    row = Service.objects.filter(pk=service.pk)
    doorbell.change(row, desired=Service.Desired.STOPPED, unregistered_at=Now())
    service.desired, service.unregistered_at = Service.Desired.STOPPED, timezone.now()


def _clean(fields: Mapping[str, Any], *, is_confined: bool) -> dict[str, Any]:
    cleaned = checked(fields)
    if path := cleaned.get("agent_factory_path"):
        cleaned["agent_factory_path"] = agent_files.found(path, is_confined=is_confined)
    if python := cleaned.get("python"):
        cleaned["python"] = interpreters.found(python, is_confined=is_confined)
    if url := cleaned.get("url"):
        own_addresses.refuse_own(url)
    return cleaned


def _refuse_other_kind(service: Service, cleaned: Mapping[str, Any]) -> None:
    path = cleaned.get("agent_factory_path", service.agent_factory_path)
    url = cleaned.get("url", service.url)
    if bool(path) == bool(url) or bool(url) != service.is_external:
        raise ServiceError(
            "invalid",
            gettext_noop("A service keeps its kind: an agent file, or an external address."),
            field="agent_factory_path",
        )


def _refuse_other_name(service: Service, cleaned: Mapping[str, Any]) -> None:
    if cleaned.get("name", service.name) != service.name:
        raise Conflict(
            "name_is_fixed",
            gettext_noop("A service keeps its name: its conversations are kept under it."),
            field="name",
        )


def _unknown(name: str) -> UnknownService:
    return UnknownService(
        "unknown_service", gettext_noop("There is no service '{name}'."), name=name[:MAX_NAME]
    )


def _name_is_taken(name: str) -> Conflict:
    return Conflict(
        "name_taken",
        gettext_noop("There is a service '{name}' already; choose another name."),
        field="name",
        name=name,
    )
