"""What checks find, and what follows from it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from time import sleep
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone, translation

from agents.runs.worker_process import Paths
from agents.runtime.ids import new_id
from myagent.worker.framing import framed
from services import control
from services.catalogue import registry
from services.logs import logfiles
from services.models import HealthCheck, Instance, Service, Supervisor
from services.nodes import this_node
from services.supervision import health, supervisor_lease
from services.supervision.decision import MISSES
from services.supervision.health import Finding
from services.telling import told
from services.views.describing import health_of
from services.views.observers import Observers
from tests.deaf_peer import deaf_peer
from tests.locks import LOOK_S, somebody_waits
from tests.services.measured import FIGURES, add_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

PATIENCE_S = 10.0
"""Less than the 20 s after which the library itself would let go of a socket."""

ILL = "It did not answer in time."


@pytest.fixture
def service(tmp_path: Path) -> Service:
    file = tmp_path / "agent.py"
    file.touch()
    return registry.register(name="echo", agent_factory_path=str(file))


@pytest.fixture
def elsewhere() -> Service:
    return registry.register(name="far", url="ws://127.0.0.1:1/")


def instance_of(service: Service, slot: int = 0, **fields: object) -> Instance:
    now = timezone.now()
    return Instance.objects.create(
        id=new_id(),
        service=service,
        slot=slot,
        live_slot=slot,
        generation=1,
        state_since=now,
        node=this_node(),
        launched_at=now,
        **({"state": Instance.State.RUNNING} | fields),
    )


async def test_a_check_leaves_no_socket_open_with_a_peer_that_hears_nothing() -> None:
    async with deaf_peer() as peer:
        finding = await health.check(Service(name="far", url=peer.url))
        async with asyncio.timeout(PATIENCE_S):
            await peer.is_left.wait()
    assert finding.is_healthy


@pytest.fixture
def here(settings: Any) -> Iterator[Instance]:
    """An instance of this machine, whose worker nobody has launched."""
    with TemporaryDirectory() as folder:
        settings.VAR_DIR = Path(folder)
        yield Instance(id=new_id(), node=this_node())


async def test_of_a_worker_that_nobody_can_dial_it_is_said_why(here: Instance) -> None:
    finding = await health.check(here)
    assert told(finding.detail) == "It could not be reached: No such file or directory"
    with translation.override("zh-hans"):
        assert told(finding.detail).startswith("无法连接到它")


async def test_a_worker_that_does_not_answer_is_not_waited_for(
    here: Instance, settings: Any
) -> None:
    settings.MYAGENT_HEALTH_TIMEOUT_S = 0.05
    failures: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, failure: failures.append(failure))
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(Paths.of(here.pk).socket))
        deaf.listen()
        finding = await health.check(here)
        # Nothing of the attempt is left to complain later.
        await asyncio.sleep(0)
    assert told(finding.detail) == ILL
    assert failures == []


async def test_what_answers_otherwise_than_a_worker_is_none(here: Instance) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(framed(b"[]"))
        writer.close()

    async with await asyncio.start_unix_server(talk, Paths.of(here.pk).socket):
        finding = await health.check(here)
    assert told(finding.detail).startswith("It could not be reached: ")


def test_what_a_worker_reports_is_kept_with_the_check(service: Service) -> None:
    instance = instance_of(service)
    report = {"running": 1, "sessions": 7, "lag_ms": 2.5, "abandoned": 0}
    health.write_down([Finding(instance, "", 1.0, report)])
    instance.refresh_from_db()
    assert instance.report == report
    check = HealthCheck.objects.get()
    assert (check.loop_lag_ms, check.active_sessions) == (2.5, None)
    health.write_down([Finding(instance, ILL)])
    instance.refresh_from_db()
    assert instance.report == report


def test_what_the_service_did_as_a_whole_is_kept_with_each_check(service: Service) -> None:
    add_server({service.name: FIGURES})
    instances = [instance_of(service), instance_of(service, slot=1)]
    health.write_down([Finding(instance, "", 1.0) for instance in instances])
    kept_of_each = HealthCheck.objects.values_list(
        "active_sessions", "turns_per_minute", "turn_p95_ms"
    )
    assert list(kept_of_each) == [(3, 12.5, 840.0)] * 2


def test_misses_are_counted_in_a_row_and_forgotten_at_the_first_success(service: Service) -> None:
    instance = instance_of(service)
    for _ in range(2):
        health.write_down([Finding(instance, ILL)])
    instance.refresh_from_db()
    assert instance.misses == 2
    health.write_down([Finding(instance, "")])
    instance.refresh_from_db()
    assert instance.misses == 0
    assert HealthCheck.objects.filter(instance=instance).count() == 3
    service.refresh_from_db()
    assert service.last_health_check is not None


def test_what_is_gone_meanwhile_loses_no_other_finding(service: Service) -> None:
    gone, there = instance_of(service, 0), instance_of(service, 1)
    Instance.objects.filter(pk=gone.pk).delete()
    health.write_down([Finding(gone, ILL), Finding(there, ILL)])
    there.refresh_from_db()
    assert there.misses == 1


@pytest.fixture
def impatient() -> Iterator[None]:
    """Locks of rows, where there are any, are waited for one second, the least there is."""
    if connection.vendor == "mysql":
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")
    yield
    connection.close()


@contextmanager
def locked_by_another(instance: Instance) -> Iterator[None]:
    """SQLite has no locks of rows: there, nothing is."""
    if connection.vendor == "sqlite":
        yield
        return
    is_locked, may_end = Event(), Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                Instance.objects.select_for_update().get(pk=instance.pk)
                is_locked.set()
                may_end.wait()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        held = thread.submit(hold)
        try:
            while not is_locked.wait(0.1):
                assert not held.done(), held.exception()
            yield
        finally:
            may_end.set()
        held.result()


def test_what_somebody_has_locked_loses_no_other_finding(service: Service, impatient: None) -> None:
    locked, free = instance_of(service, 0), instance_of(service, 1)
    with locked_by_another(locked):
        health.write_down([Finding(locked, ILL), Finding(free, ILL)])
    assert HealthCheck.objects.filter(instance=free).exists()
    free.refresh_from_db()
    assert free.misses == 1


def test_a_command_that_comes_between_is_no_deadlock(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = HealthCheck.save
    commands: list[Future[None]] = []

    def restart() -> None:
        try:
            control.restart(Service.objects.get(pk=service.pk))
        finally:
            connection.close()

    def save_and_let_somebody_wait(row: HealthCheck, **options: Any) -> None:
        save(row, **options)
        commands.append(thread.submit(restart))
        # SQLite has no locks of rows: there, whoever waits is not seen, and does no harm.
        while connection.vendor == "mysql" and not (somebody_waits() or commands[0].done()):
            sleep(LOOK_S)

    monkeypatch.setattr(HealthCheck, "save", save_and_let_somebody_wait)
    with ThreadPoolExecutor(1) as thread:
        health.write_down([Finding(instance_of(service), ILL)])
        commands[0].result()
    assert HealthCheck.objects.count() == 1
    service.refresh_from_db()
    assert service.generation == 2


def test_a_database_that_is_away_is_not_asked_for_each_finding(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fail(row: HealthCheck, **_: object) -> None:
        asked.append(row)
        raise OperationalError(2006, "Server has gone away")

    monkeypatch.setattr(HealthCheck, "save", fail)
    findings = [Finding(instance_of(service, slot), ILL) for slot in range(2)]
    with pytest.raises(OperationalError, match="gone away"):
        health.write_down(findings)
    assert len(asked) == 1


def test_a_service_elsewhere_is_unhealthy_after_misses_in_a_row(elsewhere: Service) -> None:
    for number in range(1, MISSES + 1):
        health.write_down([Finding(elsewhere, ILL)])
        elsewhere.refresh_from_db()
        assert (elsewhere.status == Service.Status.UNHEALTHY) == (number == MISSES)
    assert elsewhere.error_message == ILL
    health.write_down([Finding(elsewhere, "")])
    elsewhere.refresh_from_db()
    assert (elsewhere.status, elsewhere.error_message) == (Service.Status.RUNNING, "")


def test_of_several_machines_one_checks_what_runs_elsewhere(elsewhere: Service) -> None:
    assert supervisor_lease.take(is_automatic=False)
    assert health.external_services() == [elsewhere]
    now = timezone.now()
    lower = Supervisor.objects.create(
        node="!", process="1", started_at=now, lease_until=now + timedelta(minutes=1)
    )
    assert health.external_services() == []
    lower.delete()
    assert health.external_services() == [elsewhere]


def test_old_checks_are_forgotten(service: Service) -> None:
    instance = instance_of(service)
    health.write_down([Finding(instance, "")])
    HealthCheck.objects.update(checked_at=timezone.now() - timedelta(days=2))
    health.write_down([Finding(instance, "")])
    health.prune()
    assert HealthCheck.objects.count() == 1


def test_a_start_does_not_hide_how_the_others_are(service: Service) -> None:
    starting = instance_of(service, 0, state=Instance.State.STARTING)
    observers = Observers.read()
    assert health_of(service, [starting], observers) == "unknown"
    assert health_of(service, [starting, instance_of(service, 1)], observers) == "healthy"
    assert (
        health_of(service, [starting, instance_of(service, 2, misses=1)], observers) == "degraded"
    )


def test_the_logs_of_a_service_go_with_it(tmp_path: Path, settings: pytest.FixtureRequest) -> None:
    settings.VAR_DIR = tmp_path  # type: ignore[attr-defined]
    log = logfiles.path_of("a-service", "an-instance")
    log.parent.mkdir(parents=True)
    log.write_text("words")
    logfiles.forget("a-service")
    assert not log.parent.exists()
    with pytest.raises(ValueError, match="no id"):
        logfiles.forget("../..")
