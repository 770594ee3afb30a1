"""People at the admin, and services for them; somebody supervises already, so nothing starts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from agents.runtime.ids import new_id
from services.catalogue import registry
from services.models import Instance, Service, Supervisor
from services.nodes import this_node

LIST = "/admin/services/service/"

Person = Callable[..., Client]
MakeService = Callable[..., Service]
MakeInstance = Callable[..., Instance]


@pytest.fixture(autouse=True)
def supervised(db: None) -> None:
    now = timezone.now()
    Supervisor.objects.create(
        node="elsewhere", process="1", started_at=now, lease_until=now + timedelta(hours=1)
    )


@pytest.fixture
def person() -> Person:
    """Logs somebody of the staff in who has these permissions."""

    def log_in(*permissions: str, name: str = "ann", **how: Any) -> Client:
        user = User.objects.create_user(name, password="a password", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client(**how)
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def chief() -> Client:
    """Somebody who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("chief", password="a password"))
    return client


@pytest.fixture
def agent_file(tmp_path: Path, settings: Any) -> Path:
    """An agent file that may be registered here."""
    folder = tmp_path / "agents"
    folder.mkdir()
    file = folder / "weather.py"
    file.write_text("agent = None\n")
    settings.MYAGENT_AGENT_DIRS = [str(folder)]
    return file


@pytest.fixture
def make_service(agent_file: Path) -> MakeService:
    def make(name: str = "weather", **fields: Any) -> Service:
        observed = {
            name: fields.pop(name)
            for name in ("status", "error_message", "started_at", "restart_count")
            if name in fields
        }
        if "url" not in fields:
            fields = {"agent_factory_path": str(agent_file)} | fields
        service = registry.register(name=name, **fields)
        Service.objects.filter(pk=service.pk).update(**observed)
        service.refresh_from_db()
        return service

    return make


@pytest.fixture
def make_instance() -> MakeInstance:
    def make(service: Service, slot: int = 0, *, sessions: int = 0, **fields: Any) -> Instance:
        now = timezone.now()
        defaults = {
            "id": new_id(),
            "live_slot": slot,
            "generation": service.generation,
            "state": Instance.State.RUNNING,
            "state_since": now,
            "launched_at": now,
            "ready_at": now,
            "node": this_node(),
            "report": {"sessions": sessions, "lag_ms": 1.5},
        }
        return Instance.objects.create(service=service, slot=slot, **(defaults | fields))

    return make


@pytest.fixture
def var_dir(tmp_path: Path, settings: Any) -> Path:
    settings.VAR_DIR = tmp_path / "var"
    folder: Path = settings.VAR_DIR
    return folder
