"""Where a supervisor may be killed between a row and its process, the next one goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import OperationalError
from django.utils import timezone, translation

from agents.models import Event, Run, Session
from agents.ownership.ending import end_unfinished_runs
from agents.runtime.ids import new_id
from agents.runtime.process import identity_of, is_alive, own_identity
from myagent.worker import ORPHAN_AFTER_S
from services import control
from services.catalogue import registry
from services.logs.logfiles import path_of, tail
from services.models import Instance, Service, Supervisor
from services.nodes import this_node
from services.supervision import forgetting, launching, supervisor_lease
from services.supervision.launchers import ConfigurationRefused, LaunchSpec
from services.supervision.launchers.local import MARKER, LocalLauncher
from services.supervision.supervisor import Supervisor as Passes
from services.telling import told
from tests.agents.queued import queued_run
from tests.managed_site import until
from tests.services import rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

NOT_SEEN = "boot/namespace/1/1"
"""A process of which nobody here can tell whether it lives."""

WAIT = [sys.executable, "-c", "import time; time.sleep(1000)"]


@pytest.fixture
def folder(tmp_path: Path, settings: pytest.FixtureRequest) -> Path:
    settings.VAR_DIR = tmp_path  # type: ignore[attr-defined]
    return tmp_path


@pytest.fixture
def passes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Passes]:
    """A supervisor's passes; what it launches only waits. Every such process ends with the test."""

    def spec(instance: Instance, *where: object) -> LaunchSpec:
        log = folder / f"{instance.pk}.log"
        return LaunchSpec(instance.pk, WAIT, dict(os.environ), folder, log)

    monkeypatch.setattr(launching, "launch_spec", spec)
    launcher = LocalLauncher()
    yield Passes(launcher)
    for instance in Instance.objects.all():
        launcher.terminate(instance.pk, instance.process, by_force=True)
        until(lambda one=instance: not launcher.poll(one.pk, one.process).is_alive)


@pytest.fixture
def service(folder: Path) -> Service:
    file = folder / "agent.py"
    file.touch()
    service = registry.register(name="waits", agent_factory_path=str(file), restart_delay_s=0)
    control.start(service)
    return service


def live(service: Service) -> list[Instance]:
    return list(service.instances.filter(live_slot__isnull=False))


def launched_by_nobody(service: Service) -> Instance:
    """The row that a supervisor writes before it starts a process."""
    now = timezone.now()
    return Instance.objects.create(
        id=new_id(),
        service=service,
        slot=0,
        live_slot=0,
        generation=1,
        state_since=now,
        node=this_node(),
        launched_at=now,
    )


def test_a_row_whose_process_was_never_started_makes_room(passes: Passes, service: Service) -> None:
    row = launched_by_nobody(service)
    passes.work()
    passes.work()
    row.refresh_from_db()
    assert row.state == Instance.State.ERROR
    (successor,) = live(service)
    assert successor.pk != row.pk
    assert is_alive(successor.process)


def test_a_process_that_was_started_and_not_written_down_is_found(
    passes: Passes, service: Service
) -> None:
    row = launched_by_nobody(service)
    with subprocess.Popen(
        WAIT, env=os.environ | {MARKER: row.pk}, start_new_session=True
    ) as process:
        until(lambda: psutil.Process(process.pid).environ().get(MARKER) == row.pk)
        passes.work()
        (found,) = live(service)
        assert (found.pk, found.pid) == (row.pk, process.pid)
        assert found.process == identity_of(process.pid)
        process.kill()


def said_inside(row: Instance, code: str) -> str:
    """What the code writes, run as a process of the instance."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | _database_of_the_test() | {MARKER: row.pk},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.strip()


def _database_of_the_test() -> dict[str, str]:
    from django.db import connection

    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        url = f"sqlite:///{name}"
    else:
        url = f"mysql://root@127.0.0.1:{connection.settings_dict['PORT']}/{name}"
    return {"DATABASE_URL": url, "SECRET_KEY": "for tests", "MYAGENT_ENV_FILE": os.devnull}


def test_two_supervisors_at_once_start_one_process(passes: Passes, service: Service) -> None:
    """As when one slept past its lease in the middle of a pass."""
    from services.supervision.decision import Launch

    launch = Launch(0, 1, 0)
    assert passes._launch(service, launch, timezone.now())
    assert not Passes(LocalLauncher())._launch(service, launch, timezone.now())
    assert len(live(service)) == 1


def test_a_process_that_ends_leaves_no_row_of_its_own_alive(
    passes: Passes, service: Service
) -> None:
    passes.work()
    (first,) = live(service)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: not is_alive(first.process))
    passes.work()
    passes.work()
    (second,) = live(service)
    assert second.pid != first.pid
    first.refresh_from_db()
    assert first.exit_code == -signal.SIGKILL
    assert told(first.error) == "It was killed by signal 9 (SIGKILL)."
    with translation.override("zh-hans"):
        assert told(first.error) == "其进程被信号 9 (SIGKILL) 终止。"


def test_what_a_process_logged_before_its_end_is_not_taken_for_the_reason(
    passes: Passes, service: Service
) -> None:
    passes.work()
    (instance,) = live(service)
    assert instance.pid is not None
    rows.write_log(instance, "Traceback (most recent call last):", "RuntimeError: survived")
    os.kill(instance.pid, signal.SIGKILL)
    until(lambda: not is_alive(instance.process))
    passes.work()
    instance.refresh_from_db()
    assert told(instance.error).splitlines() == [
        "It was killed by signal 9 (SIGKILL).",
        "The last lines of its log:",
        "Traceback (most recent call last):",
        "RuntimeError: survived",
    ]


def kept_apart(service: Service, **fields: Any) -> Instance:
    """The row of a worker beside the replicas; nothing of it runs."""
    return rows.instance(service, **{"kept_by": f"{this_node()}/1"} | fields)


def its_supervisor(kept: Instance, **fields: Any) -> Supervisor:
    now = timezone.now()
    given = {"process": own_identity(), "lease_until": now + timedelta(hours=1)} | fields
    return Supervisor.objects.create(
        node=kept.kept_by, service=kept.service, started_at=now, **given
    )


def test_a_worker_with_its_own_supervisor_is_neither_counted_nor_ended(
    passes: Passes, service: Service
) -> None:
    kept = kept_apart(service)
    its_supervisor(kept)
    passes.work()
    control.stop(service)
    passes.work()
    control.start(service)
    passes.work()
    kept.refresh_from_db()
    assert (kept.state, kept.slot) == (Instance.State.RUNNING, 0)
    # The one from before the stop may not be gone yet.
    others = [one for one in live(service) if one.pk != kept.pk]
    (replica,) = [one for one in others if one.state == Instance.State.STARTING]
    assert is_alive(replica.process)


@pytest.mark.parametrize("state", ["running", "draining"])
@pytest.mark.parametrize("node", ["here", "elsewhere"])
def test_a_worker_whose_own_supervisor_let_its_lease_expire_has_ended(
    passes: Passes, service: Service, state: str, node: str
) -> None:
    place = {} if node == "here" else {"node": "elsewhere", "kept_by": "elsewhere/1"}
    kept = kept_apart(service, state=state, **place)
    expired = timezone.now() - timedelta(seconds=ORPHAN_AFTER_S + 60)
    its_supervisor(kept, lease_until=expired, process=NOT_SEEN)
    passes.trusts_leases = False
    passes.work()
    kept.refresh_from_db()
    assert kept.state == state
    passes.trusts_leases = True
    passes.work()
    kept.refresh_from_db()
    assert kept.live_slot is None
    assert kept.state == (Instance.State.ERROR if state == "running" else Instance.State.STOPPED)
    assert ("runagent" in told(kept.error)) == (state == "running")
    # Of the service's own none has failed.
    service.refresh_from_db()
    assert (service.error_message, service.restart_count) == ("", 0)
    forgetting.forget_ended()
    assert not Supervisor.objects.filter(service=service).exists()


def test_ended_workers_of_a_machine_that_is_gone_are_forgotten_after_a_day(
    passes: Passes, service: Service
) -> None:
    ended = {"state": "stopped", "live_slot": None}
    yesterday, now = timezone.now() - timedelta(days=1, hours=1), timezone.now()
    gone, late, known, own = (
        kept_apart(service, node="elsewhere", kept_by="pod/1", ended_at=yesterday, **ended),
        kept_apart(service, node="elsewhere", kept_by="pod/2", ended_at=now, **ended),
        kept_apart(service, node="elsewhere", kept_by="pod/3", ended_at=yesterday, **ended),
        kept_apart(service, ended_at=yesterday, **ended),
    )
    its_supervisor(known)
    forgetting.forget_ended()
    left = set(Instance.objects.values_list("pk", flat=True))
    assert left & {one.pk for one in (gone, late, known, own)} == {late.pk, known.pk, own.pk}


def test_a_worker_whose_own_supervisor_is_seen_to_live_has_not_ended(
    passes: Passes, service: Service
) -> None:
    kept = kept_apart(service)
    its_supervisor(kept, lease_until=timezone.now() - timedelta(seconds=ORPHAN_AFTER_S + 60))
    passes.trusts_leases = True
    passes.work()
    kept.refresh_from_db()
    assert (kept.state, kept.live_slot) == (Instance.State.RUNNING, 0)


def test_an_abandoned_worker_in_a_state_of_a_later_version_is_looked_past(
    passes: Passes, service: Service
) -> None:
    later, kept = (
        kept_apart(service, kept_by=f"{this_node()}/{slot}", slot=slot, state=state)
        for slot, state in enumerate(["pondering", "running"])
    )
    for one in later, kept:
        its_supervisor(one, process=f"{own_identity()}9")
    passes.work()
    for one in later, kept:
        one.refresh_from_db()
    assert (later.state, kept.state) == ("pondering", Instance.State.ERROR)
    assert later.live_slot == 0


def supervised_elsewhere() -> Supervisor:
    now = timezone.now()
    return Supervisor.objects.create(
        node="elsewhere", process="1", started_at=now, lease_until=now + timedelta(minutes=1)
    )


def let_expire(lease: Supervisor, ago_s: float) -> None:
    lease.lease_until = timezone.now() - timedelta(seconds=ago_s)
    lease.save()


def test_an_instance_of_another_machine_counts_while_that_one_is_supervised(
    passes: Passes, service: Service
) -> None:
    row = launched_by_nobody(service)
    Instance.objects.filter(pk=row.pk).update(
        node="elsewhere", state=Instance.State.RUNNING, process=NOT_SEEN
    )
    lease = supervised_elsewhere()
    passes.work()
    assert [one.pk for one in live(service)] == [row.pk]
    # A worker outlives its supervisor: the next one may come in time.
    let_expire(lease, ago_s=1)
    passes.work()
    assert [one.pk for one in live(service)] == [row.pk]
    let_expire(lease, ago_s=ORPHAN_AFTER_S + 1)
    passes.work()
    passes.work()
    (successor,) = live(service)
    assert successor.node == this_node()


def test_a_lease_has_one_holder_until_it_expires_or_its_process_is_gone() -> None:
    epoch = supervisor_lease.take(is_automatic=False)
    assert epoch == 1
    assert supervisor_lease.take(is_automatic=False) is None
    Supervisor.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert not supervisor_lease.holds(epoch)
    assert supervisor_lease.take(is_automatic=False) == 2
    assert supervisor_lease.renew(epoch) is None
    parts = Supervisor.objects.get().process.split("/")
    Supervisor.objects.update(process="/".join([*parts[:3], "1"]))
    assert supervisor_lease.take(is_automatic=False) == 3


def test_unregistering_ends_the_processes_and_then_the_row(
    passes: Passes, service: Service
) -> None:
    passes.work()
    (instance,) = live(service)
    registry.unregister(service)
    passes.work()
    until(lambda: not LocalLauncher().poll(instance.pk, instance.process).is_alive)
    passes.work()
    passes.work()
    assert not Service.objects.exists()


@pytest.mark.parametrize("error", [RuntimeError("odd"), OperationalError(1213, "Deadlock found")])
def test_what_is_wrong_with_one_service_holds_up_no_other(
    passes: Passes, service: Service, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    other = registry.register(name="other", agent_factory_path=service.agent_factory_path)
    control.start(other)
    spec = launching.launch_spec

    def refuse(instance: Instance, *where: object) -> LaunchSpec:
        if instance.service_id == other.pk:
            raise error
        return spec(instance)

    monkeypatch.setattr(launching, "launch_spec", refuse)
    passes.work()
    assert len(live(service)) == 1


def test_what_people_wrote_wrongly_is_tried_once(
    passes: Passes, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(instance: Instance, *where: object) -> LaunchSpec:
        raise ConfigurationRefused("In {file} a line is wrong.", file=".env")

    monkeypatch.setattr(launching, "launch_spec", refuse)
    for _ in range(3):
        passes.work()
    service.refresh_from_db()
    assert service.status == Service.Status.ERROR
    assert Instance.objects.count() == 1
    assert told(Instance.objects.get().error) == "In .env a line is wrong."


def test_a_handle_of_another_boot_names_nobody_here(passes: Passes, service: Service) -> None:
    """Its number may be a group's of somebody else by now, whose leader has gone."""
    orphan = "import os, time; os.fork() and os._exit(0); print(os.getpid(), flush=True); "
    with subprocess.Popen(
        [sys.executable, "-c", orphan + "time.sleep(1000)"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as leader:
        assert leader.stdout is not None
        innocent = int(leader.stdout.readline())
        leader.wait()
        row = launched_by_nobody(service)
        Instance.objects.filter(pk=row.pk).update(process=f"other-boot/1/{leader.pid}/77")
        passes.work()
        row.refresh_from_db()
        assert row.has_ended
        assert psutil.pid_exists(innocent)
        os.kill(innocent, signal.SIGKILL)


def test_a_command_typed_inside_an_agent_does_not_end_itself(service: Service) -> None:
    row = launched_by_nobody(service)
    kill = (
        "import django; django.setup();"
        "from services.supervision.launchers.local import LocalLauncher;"
        f"LocalLauncher().terminate({row.pk!r}, '', by_force=True); print('alive')"
    )
    assert said_inside(row, kill) == "alive"


def test_a_start_on_a_machine_that_is_gone_makes_room(passes: Passes, service: Service) -> None:
    row = launched_by_nobody(service)
    Instance.objects.update(node="elsewhere")
    lease = supervised_elsewhere()
    passes.work()
    assert [one.pk for one in live(service)] == [row.pk]
    let_expire(lease, ago_s=ORPHAN_AFTER_S + 1)
    passes.work()
    passes.work()
    assert [one.node for one in live(service)] == [this_node()]


def test_runs_that_an_outage_left_half_ended_are_ended_at_the_next_attempt(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.objects.create(
        id=new_id(), service=service.name, created_at=timezone.now(), updated_at=timezone.now()
    )
    run = accepted_run(session)

    def go_away(*_: object) -> None:
        raise OperationalError("gone")

    with monkeypatch.context() as outage, pytest.raises(OperationalError):
        outage.setattr("agents.ownership.ending.Batch.commit", go_away)
        outage.setattr("agents.ownership.ending.servers.retire", go_away)
        end_unfinished_runs(service.name, judge=None)
    while not end_unfinished_runs(service.name, judge=None):
        pass
    run.refresh_from_db()
    assert run.status == Run.Status.INTERRUPTED
    ends = Event.objects.filter(session=session, event="agent.interrupted")
    assert ends.count() == 1


def accepted_run(session: Session) -> Run:
    run = queued_run(session)
    Event.objects.create(
        session=session,
        seq=1,
        epoch=1,
        run=run,
        event="user.message",
        created_at=timezone.now(),
        payload='{"content": "hello", "metadata": {}}',
        message='{"role": "user", "content": "hello"}',
    )
    Session.objects.filter(pk=session.pk).update(last_seq=1)
    return run


def test_a_crash_counts_though_somebody_started_what_ran_already(
    passes: Passes, service: Service
) -> None:
    passes.work()
    (instance,) = live(service)
    control.start(service)
    assert instance.pid is not None
    os.kill(instance.pid, signal.SIGKILL)
    until(lambda: not is_alive(instance.process))
    for _ in range(3):
        passes.work()
    service.refresh_from_db()
    assert service.restart_count == 1


ENDS_IN_PARTS = """
import ctypes, os, platform, threading, time

def end():
    while open("/proc/self/stat").read().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    time.sleep(0.1)
    os._exit(3)

threading.Thread(target=end).start()
# The first thread alone ends: the process is no zombie that could be reaped yet.
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)
"""


def test_a_process_whose_threads_end_one_after_the_other_is_reaped_with_its_status(
    folder: Path,
) -> None:
    launcher, command = LocalLauncher(), [sys.executable, "-c", ENDS_IN_PARTS]
    spec = LaunchSpec(new_id(), command, dict(os.environ), folder, folder / "log")
    started = launcher.launch(spec)
    until(lambda: not is_alive(started.handle))
    assert launcher.poll(spec.instance_id, started.handle).exit_code == 3
    assert started.pid is not None
    assert not psutil.pid_exists(started.pid)


def test_what_a_process_wrote_before_it_ended_at_once_is_rotated_too(
    passes: Passes, service: Service, settings: Any
) -> None:
    settings.MYAGENT_LOG_BYTES = 1000
    row = launched_by_nobody(service)
    log = path_of(service.pk, row.pk)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("printed while it was loaded\n" * 100)
    passes.work()
    assert log.stat().st_size < 1000
    assert "printed while it was loaded" in tail(log, 2)
