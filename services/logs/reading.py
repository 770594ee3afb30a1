"""The output of a service's processes, for the interfaces that show it. Synchronous."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from services.errors import Conflict, UnknownService
from services.logs import logfiles
from services.models import Instance, Service
from services.nodes import this_node


def instance_of(service: Service, instance_id: str | None) -> Instance | None:
    """The instance of that id; without one, the newest if there is any.

    Raises `UnknownService`.
    """
    instances: QuerySet[Instance] = service.instances.order_by("-launched_at", "pk")
    if instance_id is None:
        return instances.first()
    # Unprintable text can't always be used in a query.
    found = instances.filter(pk=instance_id).first() if instance_id.isprintable() else None
    if found is None:
        raise UnknownService(
            "unknown_instance",
            gettext_noop("'{name}' has no instance '{instance}'."),
            name=service.name,
            instance=instance_id,
        )
    return found


def tail_of(instance: Instance, lines: int) -> list[str]:
    """The instance's last lines, as written. Raises `Conflict` if they are on another machine."""
    if instance.node != this_node():
        raise Conflict(
            "log_elsewhere",
            gettext_noop("The log is on another machine: {node}."),
            node=instance.node,
        )
    return logfiles.tail(logfiles.path_of(instance.service_id, instance.pk), lines)
