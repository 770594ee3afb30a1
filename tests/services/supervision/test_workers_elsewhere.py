"""A supervisor whose launcher starts workers on other machines, at places that it chooses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from services import control
from services.catalogue import registry
from services.models import Instance, Service
from services.supervision.launchers import LaunchPostponed, LaunchSpec, Polled
from services.supervision.launchers.sockets import AnyPort
from services.supervision.supervisor import Supervisor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


class Elsewhere:
    """A launcher that keeps what it launched in memory."""

    def __init__(self) -> None:
        self.sockets = AnyPort()
        self.is_away = False
        self.launched: list[LaunchSpec] = []
        self.asked: list[tuple[str, bool]] = []
        self.tidied = 0

    def launch(self, spec: LaunchSpec) -> Polled:
        if self.is_away:
            raise LaunchPostponed
        self.launched.append(spec)
        return Polled("elsewhere:1", None, is_alive=True)

    def poll(self, instance_id: str, handle: str) -> Polled:
        return Polled("elsewhere:1", None, is_alive=True, address="tcp://127.0.0.3:7000")

    def terminate(self, instance_id: str, handle: str, *, by_force: bool) -> None:
        self.asked.append((instance_id, by_force))

    def tidy(self) -> None:
        self.tidied += 1

    def logs(self, log: Path, lines: int) -> Sequence[str]:
        return []

    def close(self) -> None:
        pass


@pytest.fixture
def service(tmp_path: Path, settings: Any) -> Service:
    settings.VAR_DIR = tmp_path
    file = tmp_path / "agent.py"
    file.touch()
    service = registry.register(
        name="far", agent_factory_path=str(file), tags=["ray:gpu-box"], memory_limit_mb=64
    )
    control.start(service)
    return service


def test_a_start_that_has_to_wait_is_no_failure(service: Service) -> None:
    launcher = Elsewhere()
    launcher.is_away = True
    passes = Supervisor(launcher)
    for _ in range(3):
        passes.work()
    assert not service.instances.exists()
    service.refresh_from_db()
    assert (service.status, service.error_message) == (Service.Status.STARTING, "")
    launcher.is_away = False
    passes.work()
    assert service.instances.get().live_slot == 0


def test_a_launcher_is_told_what_it_may_choose_a_machine_by(service: Service) -> None:
    launcher = Elsewhere()
    Supervisor(launcher).work()
    (spec,) = launcher.launched
    assert spec.tags == ("ray:gpu-box",)
    assert spec.memory_limit_mb == 64


def test_each_pass_tidies_a_little(service: Service) -> None:
    launcher = Elsewhere()
    passes = Supervisor(launcher)
    for _ in range(3):
        passes.work()
    assert launcher.tidied == 3


def test_a_worker_elsewhere_is_asked_over_its_link_as_long_as_it_drains(service: Service) -> None:
    launcher = Elsewhere()
    passes = Supervisor(launcher)
    passes.work()
    passes.work()
    assert not passes.leaving
    instance = service.instances.get()
    assert passes.addresses == {instance.pk: "tcp://127.0.0.3:7000"}
    Instance.objects.update(state=Instance.State.RUNNING, ready_at=instance.launched_at)
    control.stop(service)
    for _ in range(3):
        passes.work()
        assert passes.leaving == {instance.pk}
    assert launcher.asked == [(instance.pk, False)]
