"""Which conversation a label stands for. Synchronous.

A label belongs to a client and to the service that it addressed: others may use the same.
"""

from __future__ import annotations

from hashlib import blake2b

from django.db import IntegrityError, transaction

from agents.principals import Principal, key_of
from traces.models import Label


def place_of(principal: Principal | None, service: str, label: str) -> str:
    """The key of its row: MySQL compares texts without regard to case and trailing blanks."""
    named = "\0".join((key_of(principal), service, label))
    return blake2b(named.encode(errors="replace"), digest_size=16).hexdigest()


def find(place: str) -> str | None:
    """The conversation that goes on under the label; None if there is none, or it has ended."""
    found = Label.objects.filter(pk=place, session__closed_at__isnull=True)
    return found.values_list("session_id", flat=True).first()


def claim(place: str, session_id: str) -> str:
    """Gives the label to a new conversation, unless another one has it; the one that has it."""
    while True:
        former = Label.objects.filter(pk=place).values_list("session_id", flat=True).first()
        if former is None:
            try:
                with transaction.atomic():
                    Label.objects.create(pk=place, session_id=session_id)
            except IntegrityError:
                continue
            return session_id
        if (present := find(place)) is not None:
            return present
        if Label.objects.filter(pk=place, session_id=former).update(session_id=session_id):
            return session_id
