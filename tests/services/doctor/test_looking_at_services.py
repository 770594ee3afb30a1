"""A service whose processes do not answer is named as `/health` names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.runtime.process import own_identity, pid_of
from services.doctor.finding import Level
from services.doctor.looking_at_services import look_at_services
from services.models import Instance, Service
from services.nodes import this_node
from services.supervision.health import TOO_LATE
from services.telling import kept, tell
from tests.services import rows
from tests.services.measured import add_supervisor

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def weather(tmp_path: Path) -> Service:
    """A service that runs, and that this machine's supervisor sees to."""
    file = tmp_path / "weather.py"
    file.write_text("async def agent(text):\n    yield text\n")
    add_supervisor(node=this_node(), process=own_identity())
    return rows.service("weather", agent_factory_path=str(file))


def worker(of: Service, slot: int = 0, **fields: Any) -> Instance:
    return rows.instance(of, **({"slot": slot, "process": own_identity()} | fields))


def named() -> list[str]:
    return [
        f"{tell(each.fact)} {tell(each.advice)}"
        for each in look_at_services()
        if each.level != Level.OK and each.advice is not None
    ]


def test_a_service_that_answers_is_not_named(weather: Service) -> None:
    worker(weather)
    assert named() == []


def test_a_service_whose_only_process_has_missed_a_check_is_named(weather: Service) -> None:
    worker(weather, misses=1)
    [said] = named()
    assert said.startswith("weather is degraded: 0 of its 1 processes passed the last check. ")
    assert "services health weather" in said


def test_a_service_one_of_whose_processes_is_unhealthy_is_named(weather: Service) -> None:
    Service.objects.update(replicas=2)
    worker(weather)
    worker(weather, 1, state=Instance.State.UNHEALTHY, misses=4)
    [said] = named()
    assert said.startswith("weather is degraded: 1 of its 2 processes passed the last check. ")


def test_a_service_that_is_unhealthy_is_named_with_the_reason(weather: Service) -> None:
    worker(weather, state=Instance.State.UNHEALTHY, misses=4)
    Service.objects.update(status=Service.Status.UNHEALTHY, error_message=kept(TOO_LATE))
    [said] = named()
    assert said.startswith("weather is unhealthy: It did not answer in time. ")


@pytest.mark.parametrize("misses", [0, 1, 4])
def test_a_frozen_process_is_named_with_how_it_goes_on(
    weather: Service, frozen: str, misses: int
) -> None:
    worker(weather, process=frozen, misses=misses)
    [said] = named()
    assert said.startswith(f"weather: its process {pid_of(frozen)} is frozen")
    assert f"(kill -CONT {pid_of(frozen)})" in said


def test_a_service_that_is_being_replaced_is_not_named(weather: Service) -> None:
    worker(weather)
    worker(weather, 1, state=Instance.State.DRAINING)
    worker(weather, 2, state=Instance.State.STARTING)
    assert named() == []


def test_a_service_that_nobody_looks_at_any_more_is_not_called_ill(weather: Service) -> None:
    worker(weather, misses=1, state_since="2026-01-01T00:00:00Z", node="away")
    assert named() == []
