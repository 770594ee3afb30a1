"""Encrypts the variables of all services under the present SECRET_KEY. Synchronous."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from services.catalogue import secrets
from services.errors import ServiceError
from services.models import Service


@dataclass(frozen=True, slots=True)
class Reencrypted:
    """`current`: services whose variables were under the present key already; `unreadable`: names
    of those that no known key opens, which are left as they are.
    """

    changed: int
    current: int
    unreadable: Sequence[str]


def reencrypt_all() -> Reencrypted:
    """One service at a time; may be repeated after any failure."""
    changed = current = 0
    unreadable = []
    having = Service.objects.exclude(environment="").order_by("name")
    for pk, name in list(having.values_list("pk", "name")):
        try:
            has_changed = _reencrypt(pk)
        except ServiceError:
            unreadable.append(name)
            continue
        changed += has_changed
        current += not has_changed
    return Reencrypted(changed, current, unreadable)


def _reencrypt(pk: str) -> bool:
    """Raises `ServiceError` if no known key opens it."""
    with transaction.atomic():
        # Somebody may be changing the variables just now.
        service = Service.objects.select_for_update().filter(pk=pk).first()
        if service is None or secrets.is_under_present_key(service.environment):
            return False
        again = secrets.encrypt(secrets.decrypt(service.environment))
        Service.objects.filter(pk=pk).update(environment=again)
        return True
