"""Asks what would become of a client, by the rules and services as they are now. Synchronous."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.models import Service
from services.routing import explaining, snapshot, stored
from services.routing.choosing import clients_elsewhere
from services.routing.rules import Facts
from services.routing.strategies import Turns


def explain(facts: Facts) -> dict[str, Any]:
    """See `explaining.explain`. Connections are those that servers last reported."""
    if not facts.user_agent:
        facts = replace(facts, user_agent=facts.headers.get("user-agent", ""))
    clients = clients_elsewhere("")
    running = [
        replace(each, connections=clients.get(each.name, 0))
        for each in snapshot.candidates(*snapshot.services_now())
    ]
    others = {
        service.name: service.get_status_display()
        for service in Service.objects.only("name", "status")
        if service.name not in {each.name for each in running}
    }
    disabled = stored.rules(enabled=False)
    return explaining.explain(stored.rules(), running, others, facts, Turns(), disabled=disabled)
