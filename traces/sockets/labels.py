"""Which conversation a label stands for. Synchronous.

A label belongs to a client and to the service that it addressed: others may use the same.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from django.db import IntegrityError, transaction

from agents.principals import Principal, key_of
from traces.models import Label


def place_of(principal: Principal | None, service: str, label: str) -> str:
    """The key of its row: MySQL compares texts without regard to case and trailing blanks."""
    named = "\0".join((key_of(principal), service, label))
    return blake2b(named.encode(errors="replace"), digest_size=16).hexdigest()


class Found(NamedTuple):
    """A conversation that has not ended, and whose it is."""

    session_id: str
    service: str


def find(place: str) -> Found | None:
    """The conversation that goes on under the label; None if there is none, or it has ended."""
    found = Label.objects.filter(pk=place, session__closed_at__isnull=True)
    facts = found.values_list("session_id", "session__service").first()
    return None if facts is None else Found(*facts)


def claim(place: str, session_id: str, unreachable: str | None = None) -> str:
    """Gives the label to a new conversation, unless another one has it; the one that has it.

    `unreachable`: one that has not ended, but whose service was removed.
    """
    while True:
        former = Label.objects.filter(pk=place).values_list("session_id", flat=True).first()
        if former is None:
            try:
                with transaction.atomic():
                    Label.objects.create(pk=place, session_id=session_id)
            except IntegrityError:
                continue
            return session_id
        present = find(place)
        if present is not None and present.session_id != unreachable:
            return present.session_id
        if Label.objects.filter(pk=place, session_id=former).update(session_id=session_id):
            return session_id
