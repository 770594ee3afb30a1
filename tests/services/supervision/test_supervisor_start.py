"""If no supervisor can be started, that is reported at once, over the network without paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection

from services.models import Service
from services.rest.errors import answer
from services.supervision import supervisor_start
from services.supervision.supervisor_start import SupervisorNotStarted, ensure_supervisor
from tests.services import rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def embedded(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no supervisor; a command would start one."""
    settings.MYAGENT_SUPERVISOR, settings.IS_EMBEDDED = "auto", True
    settings.VAR_DIR = tmp_path
    monkeypatch.setattr(supervisor_start.schema, "apply_pending", lambda _: None)
    rows.service("echo", Service.Status.STOPPED)


def test_on_a_full_disk_no_supervisor_is_waited_for(
    embedded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(*_: object) -> None:
        raise AssertionError("it would try in vain")

    def full(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE"):
            raise OperationalError("database or disk is full")
        return execute(sql, *rest)

    monkeypatch.setattr(supervisor_start, "_start", launch)
    with connection.execute_wrapper(full), pytest.raises(OperationalError, match="disk is full"):
        ensure_supervisor()


def test_the_network_is_not_told_where_the_log_lies() -> None:
    told = answer(SupervisorNotStarted(Path("/srv/site/var/logs/supervisor.log")), {})
    assert (told.status_code, told.data["code"]) == (503, "no_supervisor")
    assert told.data["detail"].startswith("The supervisor could not be started")
    assert "/srv" not in told.data["detail"]
