"""Rows of the register of connections, as servers write them."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from agents.models import Connection, Server
from agents.runtime.ids import new_id


def add_connection(server: Server, service: str = "", **fields: Any) -> Connection:
    given = {"path": "/", "address": "192.0.2.5", "opened_at": timezone.now()}
    return Connection.objects.create(id=new_id(), server=server, service=service, **given | fields)
