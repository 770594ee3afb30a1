"""The REST interface on a test's own database, with no supervisor unless a test wants one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client as Login
from django.utils import timezone

from agents.runtime.process import own_identity
from services.catalogue import registry
from services.models import Service, Supervisor
from services.nodes import this_node

from .client import CSRF, Client


@pytest.fixture(autouse=True)
def agent_dir(settings: Any, tmp_path: Path) -> Path:
    """The one folder from which agent files may be registered, with a file in it."""
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "echo.py").write_text("raise RuntimeError('never loaded by the site')\n")
    settings.MYAGENT_AGENT_DIRS = [str(folder)]
    settings.MYAGENT_SUPERVISOR = "external"
    settings.VAR_DIR = tmp_path / "var"
    return folder


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def supervisor(transactional_db: None) -> Supervisor:
    """Somebody who would act, and doesn't: tests say what it observes."""
    now = timezone.now()
    return Supervisor.objects.create(
        node=this_node(),
        process=own_identity(),
        started_at=now,
        lease_until=now + timedelta(hours=1),
    )


@pytest.fixture
def echo(transactional_db: None, agent_dir: Path) -> Service:
    return registry.register(name="echo", agent_factory_path=str(agent_dir / "echo.py"))


@pytest.fixture
def external(transactional_db: None) -> Service:
    return registry.register(name="billing", url="wss://billing.example/ws")


StaffClient = Callable[..., Client]


@pytest.fixture
def staff(transactional_db: None) -> StaffClient:
    """A browser on another machine in which somebody with these permissions is logged in."""

    def log_in(*permissions: str, name: str = "ada", **facts: Any) -> Client:
        user = User.objects.create_user(name, **({"is_staff": True} | facts))
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        login = Login()
        login.force_login(user)
        cookies = {"myagent_session": login.cookies["myagent_session"].value, "myagent_csrf": CSRF}
        return Client(
            host="site.example",
            peer="192.0.2.7",
            server="192.0.2.1",
            headers={
                "cookie": "; ".join(f"{key}={value}" for key, value in cookies.items()),
                "x-csrftoken": CSRF,
                "origin": "http://site.example",
            },
        )

    return log_in


@pytest.fixture(autouse=True)
def site_host(settings: Any) -> None:
    settings.SITE_HOSTS = ["site.example"]
