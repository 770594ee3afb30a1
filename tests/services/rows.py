"""Services with instances as the supervisor leaves them, without a process."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from agents.runtime.ids import new_id
from services.logs.logfiles import path_of
from services.models import Instance, Service
from services.nodes import this_node

EXTERNAL = "ws://localhost:9/"
AN_HOUR = timedelta(hours=1)


def service(name: str, status: str = Service.Status.RUNNING, **fields: Any) -> Service:
    desired = Service.Desired.STOPPED
    if status != Service.Status.STOPPED:
        desired = Service.Desired.RUNNING
    fields = {"agent_factory_path": "/srv/agent.py", "desired": desired} | fields
    return Service.objects.create(id=new_id(), name=name, status=status, **fields)


def instance(of: Service, state: str = Instance.State.RUNNING, **fields: Any) -> Instance:
    has_ended = state in Instance.ENDED
    slot = fields.pop("slot", 0)
    now = timezone.now()
    given = {
        "slot": slot,
        "live_slot": None if has_ended else slot,
        "generation": of.generation,
        "state_since": now,
        "launched_at": now,
        "node": this_node(),
        "pid": 4000 + slot,
    } | fields
    return Instance.objects.create(id=new_id(), service=of, state=state, **given)


def write_log(of: Instance, *lines: str) -> None:
    path = path_of(of.service_id, of.pk)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
