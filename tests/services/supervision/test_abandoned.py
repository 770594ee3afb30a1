"""A worker whose supervisor is gone is ended once, even if other processes look or die."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone

from agents.runtime.process import own_identity
from services.models import Instance, Service, Supervisor
from services.nodes import this_node
from services.supervision import abandoned
from services.supervision.launchers.local import LocalLauncher
from services.supervision.lifecycle import Cause
from tests.services import rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

State = Instance.State
KEEPER = f"{this_node()}/1"


class Killed(BaseException):
    """Stands for the death of this process."""


class Launcher(LocalLauncher):
    """Records the instances that it ends, and calls the test at that moment."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.ended: list[str] = []
        self._meanwhile = meanwhile

    def terminate(self, instance_id: str, handle: str, *, by_force: bool) -> None:
        self.ended.append(instance_id)
        self._meanwhile()


@pytest.fixture
def service(transactional_db: None) -> Service:
    service = rows.service("shop")
    now = timezone.now()
    gone = f"{own_identity()}9"
    Supervisor.objects.create(
        node=KEEPER, service=service, process=gone, started_at=now, lease_until=now
    )
    return service


def die() -> None:
    raise Killed


@pytest.mark.parametrize(
    ("state", "cause", "end", "why"),
    [
        (State.RUNNING, "", State.ERROR, Cause.CRASH),
        (State.DRAINING, "", State.STOPPED, ""),
        (State.STOPPING, Cause.MEMORY, State.ERROR, Cause.MEMORY),
    ],
)
def test_who_dies_over_it_leaves_it_to_the_next_look(
    service: Service, state: str, cause: str, end: str, why: str
) -> None:
    instance = rows.instance(service, state, kept_by=KEEPER, cause=cause)
    with pytest.raises(Killed):
        abandoned.end_all(Launcher(die), by_lease=False)
    instance.refresh_from_db()
    assert (instance.state, instance.live_slot) == (State.STOPPING, 0)
    launcher = Launcher()
    abandoned.end_all(launcher, by_lease=False)
    instance.refresh_from_db()
    assert launcher.ended == [instance.pk]
    assert (instance.state, instance.live_slot, instance.cause) == (end, None, why)
    assert bool(instance.error) == (end == State.ERROR)


def test_one_that_somebody_else_has_moved_meanwhile_is_left_to_them(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = rows.instance(service, State.RUNNING, kept_by=KEEPER)
    look = abandoned._is_abandoned

    def look_and_be_overtaken(*about: object, by_lease: bool) -> bool:
        found = look(*about, by_lease=by_lease)  # type: ignore[arg-type]
        Instance.objects.filter(pk=instance.pk).update(state=State.UNHEALTHY)
        return found

    monkeypatch.setattr(abandoned, "_is_abandoned", look_and_be_overtaken)
    launcher = Launcher()
    abandoned.end_all(launcher, by_lease=False)
    instance.refresh_from_db()
    assert launcher.ended == []
    assert (instance.state, instance.live_slot) == (State.UNHEALTHY, 0)
