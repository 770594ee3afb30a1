"""Makes what is observed into what is desired: `decide` says how, this carries it out.

One pass looks at every service and does what is to be done now. What it does
is written to the row first and to the process after, so that the next
supervisor goes on wherever this one is killed:

- an instance's row is there before its process, which is found by the row's id;
- an instance that is to leave is asked by whoever supervises, once each;
- one that is to end is killed at every pass until it is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_noop

from agents.database import is_about_a_row
from agents.ending import end_unfinished_runs
from agents.exit_status import CONFIGURATION_ERROR
from agents.ids import new_id
from agents.worker_process import Paths
from myagent.worker.process import ORPHAN_AFTER_S
from services import doorbell, launching, logfiles, observing
from services.decision import (
    CLEAR_S,
    Desired,
    Launch,
    Limits,
    Move,
    counted,
    decide,
    is_given_up,
    status_of,
)
from services.errors import ServiceError
from services.failing import why_it_failed, why_it_is_given_up, why_it_was_refused
from services.launchers import Launcher, Polled
from services.lifecycle import TRANSITIONS, Event, State
from services.logfiles import path_of
from services.models import Instance, Service
from services.models import Supervisor as Lease
from services.observing import Picture, desired_of, seen_of
from services.supervisor_lease import this_node
from services.telling import Part, Sentence, kept

logger = structlog.get_logger(__name__)

STARTS_AT_ONCE = 4
"""Processes that may be starting at a time: a machine full of them would start none in time."""

STARTS_OF_ONE = 2
"""Of these, a service's own at one look: one that hangs must not hold up the others."""

GOODBYE_S = 10.0
"""Seconds that a worker has, after the grace for its runs, to end."""

ENDED_KEPT = 20
"""Ended instances of a service that are remembered, besides those that its restarts count."""


class Supervisor:
    """Synchronous; its passes belong to one thread. The lease is the caller's business."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._node = this_node()
        self._asked: set[str] = set()
        self._found: dict[str, Path] = {}
        self.living: Mapping[str, Path] = {}
        """This machine's instances whose process lived at the last pass, and their logs."""
        self.silences: Mapping[str, float] = {}
        """For how many seconds instances have owed an answer."""
        self.is_leaving = False
        """Set when its instances are to end with it; what is desired stays."""
        self.is_hurrying = False
        """Set when what drains is to be ended at once."""
        self.trusts_leases = True
        """Whether an expired lease on another machine can be taken for a death."""

    def work(self) -> bool:
        """One pass. True if something was done, so that another look is due at once."""
        pictures = observing.read_all()
        self._found = {}
        starting = sum(
            one.state == State.STARTING and one.node == self._node
            for picture in pictures
            for one in picture.live
        )
        is_busy = False
        for picture in pictures:
            room = min(STARTS_AT_ONCE - starting, STARTS_OF_ONE)
            try:
                done, launched = self._supervise(picture, room=room)
            except DatabaseFailure as error:
                if not is_about_a_row(error):
                    raise
                # It is locked, say; the next pass comes soon.
                name = picture.service.name
                logger.warning("service_not_supervised", service=name, error=str(error))
                continue
            except Exception:
                # What is wrong with one service must not hold up the others.
                logger.exception("service_not_supervised", service=picture.service.name)
                continue
            is_busy |= done > 0
            starting += launched
        self.living = self._found
        return is_busy

    @property
    def live_count(self) -> int:
        """This machine's instances that have not ended."""
        return Instance.objects.filter(node=self._node, live_slot__isnull=False).count()

    def _supervise(self, picture: Picture, *, room: int) -> tuple[int, int]:
        """Looks at one service: how much it did, and how many processes it started."""
        service = picture.service
        polled = {one.pk: self._look(one) for one in picture.live}
        seen = [
            seen_of(
                one,
                polled[one.pk],
                is_ours=self._is_ours(one),
                silent_s=self.silences.get(one.pk, 0.0),
            )
            for one in picture.live
        ]
        desired = desired_of(service, is_leaving=self.is_leaving)
        grace_s = 0.0 if self.is_hurrying else settings.MYAGENT_SHUTDOWN_GRACE_S + GOODBYE_S
        limits = Limits(settings.MYAGENT_START_TIMEOUT_S, grace_s, settings.MYAGENT_WORKER_STUCK_S)
        now = timezone.now()
        actions = decide(desired, seen, picture.failures, now.timestamp(), limits)
        done = launched = 0
        instances = {one.pk: one for one in picture.live}
        for action in actions:
            match action:
                case Move():
                    one = instances[action.instance_id]
                    done += self._move(one, action, now, polled[one.pk].exit_code)
                case Launch() if launched < room:
                    launched += self._launch(service, action, now)
        self._see_to_leavers(picture.live)
        self._note_status(picture, status_of(desired, seen, picture.failures))
        if service.unregistered_at is not None and not picture.live:
            self._forget(service)
        return done + launched, launched

    def _is_ours(self, instance: Instance) -> bool:
        return instance.node == self._node

    def _look(self, instance: Instance) -> Polled:
        """What can be seen of it from here; of another machine's, only whether its lease holds."""
        if self._is_ours(instance):
            polled = self._launcher.poll(instance.pk, instance.process)
            self._note_look(instance, polled)
            if polled.is_alive:
                self._note_living(instance)
            elif polled.exit_code is None and Paths.of(instance.pk).failure.exists():
                # Nobody saw it end, but it left word why it did.
                polled = replace(polled, exit_code=CONFIGURATION_ERROR)
            return polled
        may_live = not self.trusts_leases or _holds_elsewhere(instance)
        return Polled(instance.process, instance.pid, is_alive=may_live)

    def _note_living(self, instance: Instance) -> None:
        self._found[instance.pk] = path_of(instance.service_id, instance.pk)

    def _note_look(self, instance: Instance, polled: Polled) -> None:
        seen: dict[str, Any] = {
            "process": polled.handle,
            "pid": polled.pid,
            # Whole numbers: an idle process is not written about at every look.
            "memory_mb": polled.memory_mb and round(polled.memory_mb),
            "cpu_percent": polled.cpu_percent and round(polled.cpu_percent),
        }
        changed = {
            name: value
            for name, value in seen.items()
            if value is not None and getattr(instance, name) != value
        }
        if changed:
            Instance.objects.filter(pk=instance.pk).update(**changed)
            for name, value in changed.items():
                setattr(instance, name, value)

    def _move(self, instance: Instance, move: Move, now: datetime, exit_code: int | None) -> bool:
        """Moves the row, and its process after it. False if the row moved meanwhile."""
        before = State(instance.state)
        after = TRANSITIONS[before, move.event]
        changes: dict[str, Any] = {"state": after, "state_since": now, "cause": move.cause}
        if move.event in (Event.LEFT, Event.FAILED):
            # What it started dies with it, before its place is free for another.
            if self._is_ours(instance):
                self._launcher.terminate(instance.pk, instance.process, by_force=True)
            changes |= {"ended_at": now, "live_slot": None} | self._last_words(
                instance, move, exit_code
            )
            self._asked.discard(instance.pk)
        if not Instance.objects.filter(pk=instance.pk, state=before).update(**changes):
            return False
        for name, value in changes.items():
            setattr(instance, name, value)
        if instance.has_ended and self._is_ours(instance):
            Paths.of(instance.pk).remove()
        doorbell.ring(instance.service_id)
        logger.info(
            "instance_" + move.event,
            service=instance.service.name,
            instance_id=instance.pk,
            pid=instance.pid,
            cause=str(move.cause),
        )
        return True

    def _last_words(self, instance: Instance, move: Move, exit_code: int | None) -> dict[str, Any]:
        if move.event is Event.LEFT:
            return {"exit_code": exit_code}
        is_ours = self._is_ours(instance)
        error = why_it_was_refused(Paths.of(instance.pk)) if is_ours else ""
        if not error:
            lines = self._last_lines(instance) if is_ours else ()
            error = why_it_failed(instance, move.cause, exit_code, lines)
        return {"exit_code": exit_code, "error": error}

    def _last_lines(self, instance: Instance) -> Sequence[Part]:
        try:
            return self._launcher.logs(path_of(instance.service_id, instance.pk), 20)
        except OSError as error:
            unread = gettext_noop("Its log can't be read: {reason}.")
            return [Sentence(unread, {"reason": error.strerror or error})]

    def _launch(self, service: Service, launch: Launch, now: datetime) -> bool:
        """Starts a process, its row first. False if another supervisor has the place."""
        content_hash = launching.content_hash(service.agent_factory_path)
        instance = Instance(
            id=new_id(),
            service=service,
            slot=launch.slot,
            live_slot=launch.slot,
            generation=launch.generation,
            state_since=now,
            node=self._node,
            content_hash=content_hash,
            version=content_hash[:12],
            launched_at=now,
            restart_count=launch.restart_count,
        )
        try:
            with transaction.atomic():
                instance.save(force_insert=True)
        except IntegrityError:
            return False
        try:
            started = self._launcher.launch(launching.launch_spec(instance))
        except ServiceError as error:
            # It is found without a process at the next look.
            Instance.objects.filter(pk=instance.pk).update(error=kept(error.sentence))
            return True
        Instance.objects.filter(pk=instance.pk).update(process=started.handle, pid=started.pid)
        self._note_living(instance)
        doorbell.ring(service.pk)
        logger.info("instance_launched", service=service.name, pid=started.pid)
        return True

    def _see_to_leavers(self, live: list[Instance]) -> None:
        """Asks those that drain, once each; ends those that are to end, at every pass."""
        for instance in filter(self._is_ours, live):
            if instance.state == State.STOPPING:
                self._launcher.terminate(instance.pk, instance.process, by_force=True)
            elif instance.state == State.DRAINING and instance.pk not in self._asked:
                self._asked.add(instance.pk)
                self._launcher.terminate(instance.pk, instance.process, by_force=False)

    def _note_status(self, picture: Picture, status: str) -> None:
        """Writes what is observed of the service, unless somebody changed it meanwhile."""
        service = picture.service
        serving = [one for one in picture.live if one.state in Instance.SERVING]
        since = min((one.ready_at for one in serving if one.ready_at), default=None)
        desired = desired_of(service, is_leaving=False)
        observed: dict[str, Any] = {
            "status": status,
            "error_message": _error_of(picture, desired),
            "restart_count": _restarts(picture, desired),
            "started_at": since,
        }
        changed = {
            name: value for name, value in observed.items() if getattr(service, name) != value
        }
        if changed:
            Service.objects.filter(pk=service.pk, revision=service.revision).update(
                **changed, revision=F("revision") + 1
            )

    def _forget(self, service: Service) -> None:
        """The last step of unregistering: its runs end, its row goes."""
        if end_unfinished_runs(service.name):
            service_id = service.pk
            service.delete()
            logfiles.forget(service_id)
            logger.info("service_unregistered", service=service.name)

    def forget_ended(self) -> None:
        """Deletes the rows and logs of this machine's instances that ended long ago."""
        for service in Service.objects.filter(url=""):
            ended = service.instances.filter(live_slot__isnull=True, node=self._node)
            ended = ended.order_by("-launched_at")
            for instance in ended[ENDED_KEPT + service.max_restart_count :]:
                for log in path_of(service.pk, instance.pk).parent.glob(f"{instance.pk}.log*"):
                    log.unlink(missing_ok=True)
                Paths.of(instance.pk).remove()
                instance.delete()


def _holds_elsewhere(instance: Instance) -> bool:
    """Whether another machine's instance may live: its node is supervised, or was until just now.

    A worker outlives its supervisor, but for no longer than this if nobody else is there.
    """
    recently = Now() - timedelta(seconds=ORPHAN_AFTER_S)
    return Lease.objects.filter(node=instance.node, lease_until__gt=recently).exists()


def _error_of(picture: Picture, desired: Desired) -> str:
    """What people are told is wrong; empty where all is as it should be."""
    if not desired.is_running or not picture.failures:
        return ""
    if is_given_up(desired, picture.failures):
        count = len(counted(picture.failures))
        return why_it_is_given_up(count, picture.last_error, restarts=desired.auto_restart)
    is_well_again = any(one.state == State.RUNNING for one in picture.live)
    return "" if is_well_again else picture.last_error


def _restarts(picture: Picture, desired: Desired) -> int:
    """Restarts in a row; none after a long time of health."""
    row = counted(picture.failures)
    is_well = any(one.state == State.RUNNING for one in picture.live)
    if not row or (is_well and timezone.now().timestamp() - row[0].at >= CLEAR_S):
        return 0
    # A failure is followed by a restart, unless it was the last straw.
    return len(row) - is_given_up(desired, picture.failures)
