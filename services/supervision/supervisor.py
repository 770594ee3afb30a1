"""Brings the observed state to the desired one: `decide` decides, this module carries it out.

One pass visits every service and does what has to be done now. Each action changes first the row
and then the process, so that the next supervisor can continue wherever this one is killed:

- an instance's row exists before its process, which is found by the row's id;
- an instance that is to leave is asked once by each supervisor;
- an instance that is to end is killed in every pass until it is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from agents.runs.remote import UNKNOWN
from agents.runs.worker_process import Paths
from agents.runtime.database_errors import is_about_a_row
from agents.runtime.exit_status import CONFIGURATION_ERROR
from agents.runtime.explaining import explain
from agents.runtime.ids import new_id
from myagent.sentence import Said
from services import doorbell
from services.errors import ServiceError
from services.logs import rotation
from services.logs.logfiles import path_of
from services.models import Instance, Service
from services.nodes import this_node
from services.supervision import abandoned, forgetting, launching, observing, status
from services.supervision.decision import (
    Desired,
    Launch,
    Limits,
    Move,
    Seen,
    decide,
    is_given_up,
    status_of,
)
from services.supervision.failing import note_end, why_it_failed, why_it_was_refused
from services.supervision.launchers import (
    ConfigurationRefused,
    Launcher,
    LaunchPostponed,
    Polled,
)
from services.supervision.lifecycle import TRANSITIONS, Cause, Event, State
from services.supervision.observing import Observation, desired_of, seen_of
from services.supervision.supervisor_lease import MACHINE, Charge, held, may_have_workers
from services.telling import Part, kept

logger = structlog.get_logger(__name__)

STARTS_AT_ONCE = 4
"""Number of processes that may be starting at a time: with too many, none would start in time."""

STARTS_OF_ONE = 2
"""Number of these that one service may start in a pass: one that hangs must not delay others."""

GOODBYE_S = 10.0
"""Seconds that a worker has to end after the grace period for its runs."""


class Supervisor:
    """Synchronous; its passes belong to one thread. The caller holds the lease."""

    def __init__(
        self, launcher: Launcher, charge: Charge = MACHINE, *, parent_fd: int | None = None
    ) -> None:
        self._launcher = launcher
        self._charge = charge
        self._parent_fd = parent_fd
        self._node = this_node()
        self._asked: set[str] = set()
        self._found: dict[str, Path] = {}
        self._linked: dict[str, str] = {}
        self._leaving: set[str] = set()
        self.living: Mapping[str, Path] = {}
        """Its instances whose process lived at the last pass, and their logs."""
        self.addresses: Mapping[str, str] = {}
        """Those of them that can be dialled, and where: see `Instance`."""
        self.leaving: Set[str] = frozenset()
        """Its instances that are to be asked over their links to leave."""
        self.silences: Mapping[str, float] = {}
        """For how many seconds instances have not answered."""
        self.is_leaving = False
        """Set when its instances are to end with it; the desired state stays."""
        self.is_hurrying = False
        """Set when draining instances are to be ended at once."""
        self.trusts_leases = True
        """Whether a process on another machine with an expired lease can be considered dead."""

    def work(self) -> bool:
        """One pass. True if something was done, so that the next one is due at once."""
        abandoned.end_all(self._launcher, by_lease=self.trusts_leases)
        observations = observing.read_all(self._charge)
        self._found, self._linked, self._leaving = {}, {}, set()
        starting = sum(
            one.state == State.STARTING and self._charge.owns(one)
            for observation in observations
            for one in observation.live
        )
        is_busy = False
        for observation in observations:
            room = min(STARTS_AT_ONCE - starting, STARTS_OF_ONE)
            try:
                done, launched = self._supervise(observation, room=room)
            except DatabaseFailure as error:
                if not is_about_a_row(error):
                    raise
                # It may be locked; the next pass comes soon.
                name = observation.service.name
                logger.warning("service_not_supervised", service=name, error=explain(error))
                continue
            except Exception:
                # A failure with one service must not delay the others.
                logger.exception("service_not_supervised", service=observation.service.name)
                continue
            is_busy |= done > 0
            starting += launched
        self.living, self.addresses, self.leaving = self._found, self._linked, self._leaving
        if self._charge.is_machine:
            self._launcher.tidy()
        return is_busy

    @property
    def live_count(self) -> int:
        """Its instances that have not ended."""
        own = Instance.objects.filter(node=self._node, kept_by=self._charge.kept_by)
        return own.filter(live_slot__isnull=False).count()

    def _supervise(self, observation: Observation, *, room: int) -> tuple[int, int]:
        """Handles one service; returns how much it did and how many processes it started."""
        service = observation.service
        polled = {one.pk: self._look(one) for one in observation.live}
        seen = [
            seen_of(
                one,
                polled[one.pk],
                self._charge,
                silent_s=self.silences.get(one.pk, 0.0),
            )
            for one in observation.live
        ]
        desired = desired_of(service, self._charge, is_leaving=self.is_leaving)
        grace_s = 0.0 if self.is_hurrying else settings.MYAGENT_SHUTDOWN_GRACE_S + GOODBYE_S
        limits = Limits(settings.MYAGENT_START_TIMEOUT_S, grace_s, settings.MYAGENT_WORKER_STUCK_S)
        now = timezone.now()
        actions = decide(desired, seen, observation.failures, now.timestamp(), limits)
        done = launched = 0
        instances = {one.pk: one for one in observation.live}
        for action in actions:
            match action:
                case Move():
                    one = instances[action.instance_id]
                    done += self._move(one, action, now, polled[one.pk].exit_code)
                case Launch() if launched < room:
                    launched += self._launch(service, action, now)
        self._see_to_leavers(observation.live)
        if status.is_known_to(self._charge, observation, is_leaving=self.is_leaving):
            status.note(observation, self._status_of(observation, desired, seen))
            if service.unregistered_at is not None and not observation.live:
                judge = held(self._charge) if self.trusts_leases else None
                forgetting.forget(service, judge=judge)
        return done + launched, launched

    def _status_of(self, observation: Observation, desired: Desired, seen: Sequence[Seen]) -> str:
        wished = desired_of(observation.service, self._charge, is_leaving=False)
        if self.is_leaving and is_given_up(wished, observation.failures):
            # The next supervisor must not start it either.
            return Service.Status.ERROR
        return status_of(desired, seen, observation.failures)

    def _is_here(self, instance: Instance) -> bool:
        return instance.node == self._node

    def _look(self, instance: Instance) -> Polled:
        """Observes it; for another supervisor's instance only whether that lease is valid."""
        if self._charge.owns(instance):
            polled = self._launcher.poll(instance.pk, instance.process)
            self._note_look(instance, polled)
            if polled.is_alive:
                self._note_living(instance)
                return polled
            # Its last report, perhaps written within a moment, while its file was loaded.
            rotation.bound_ended(path_of(instance.service_id, instance.pk))
            if polled.exit_code is None and Paths.of(instance.pk).failure.exists():
                # Nobody saw it end, but it left the reason.
                polled = replace(polled, exit_code=CONFIGURATION_ERROR)
            return polled
        return Polled(instance.process, instance.pid, is_alive=self._may_live(instance))

    def _may_live(self, instance: Instance) -> bool:
        if not self._charge.is_machine or instance.kept_by or not self.trusts_leases:
            return True  # Supervisors of machines judge replicas; `abandoned` handles the others.
        return may_have_workers(instance.node)

    def _note_living(self, instance: Instance) -> None:
        self._found[instance.pk] = path_of(instance.service_id, instance.pk)
        # What listens here as well is dialled here, wherever others reach it.
        address = "" if self._launcher.sockets.is_local else instance.address
        if address != UNKNOWN:
            self._linked[instance.pk] = address

    def _note_look(self, instance: Instance, polled: Polled) -> None:
        seen: dict[str, Any] = {
            "process": polled.handle,
            "pid": polled.pid,
            # Rounded, so that an idle process does not cause a write in every pass.
            "memory_mb": polled.memory_mb and round(polled.memory_mb),
            "cpu_percent": polled.cpu_percent and round(polled.cpu_percent),
            "address": polled.address or None,
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
        if "address" in changed:
            doorbell.ring(instance.service_id)

    def _move(self, instance: Instance, move: Move, now: datetime, exit_code: int | None) -> bool:
        """Moves the row to a state, then acts on the process. False if the row was changed."""
        before = State(instance.state)
        after = TRANSITIONS[before, move.event]
        changes: dict[str, Any] = {"state": after, "state_since": now, "cause": move.cause}
        if move.event in (Event.LEFT, Event.FAILED):
            # Its descendants are killed with it, before its slot is free for another instance.
            if self._is_here(instance):
                self._launcher.terminate(instance.pk, instance.process, by_force=True)
            changes |= {"ended_at": now, "live_slot": None} | self._last_words(
                instance, move, exit_code
            )
            self._asked.discard(instance.pk)
        if not Instance.objects.filter(pk=instance.pk, state=before).update(**changes):
            return False
        for name, value in changes.items():
            setattr(instance, name, value)
        if instance.has_ended and self._is_here(instance):
            Paths.of(instance.pk).remove()
            note_end(instance)
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
        is_here = self._is_here(instance)
        error = why_it_was_refused(Paths.of(instance.pk)) if is_here else ""
        if not error:
            lines = self._last_lines(instance) if is_here else ()
            error = why_it_failed(instance, move.cause, exit_code, lines)
        return {"exit_code": exit_code, "error": error}

    def _last_lines(self, instance: Instance) -> Sequence[Part]:
        try:
            return self._launcher.logs(path_of(instance.service_id, instance.pk), 20)
        except OSError as error:
            unread = gettext_noop("Its log can't be read: {reason}.")
            return [Said(unread, {"reason": error.strerror or str(error)})]

    def _launch(self, service: Service, launch: Launch, now: datetime) -> bool:
        """Inserts the row, then starts the process. False if another supervisor took the slot."""
        content_hash = launching.content_hash(service.agent_factory_path)
        instance = Instance(
            id=new_id(),
            service=service,
            slot=launch.slot,
            live_slot=launch.slot,
            generation=launch.generation,
            state_since=now,
            node=self._node,
            kept_by=self._charge.kept_by,
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
            spec = launching.launch_spec(instance, self._launcher.sockets, self._parent_fd)
            started = self._launcher.launch(spec)
        except LaunchPostponed:
            instance.delete()
            return False
        except ServiceError as error:
            # The next pass finds it without a process.
            cause = Cause.CONFIGURATION if isinstance(error, ConfigurationRefused) else ""
            Instance.objects.filter(pk=instance.pk).update(error=kept(error.sentence), cause=cause)
            return True
        instance.address = started.address or spec.address
        Instance.objects.filter(pk=instance.pk).update(
            process=started.handle, pid=started.pid, address=instance.address
        )
        self._note_living(instance)
        doorbell.ring(service.pk)
        logger.info("instance_launched", service=service.name, pid=started.pid)
        return True

    def _see_to_leavers(self, live: list[Instance]) -> None:
        """Asks draining instances to end, once each; kills those that are to end, in every pass."""
        for instance in filter(self._charge.owns, live):
            if instance.state == State.STOPPING:
                self._launcher.terminate(instance.pk, instance.process, by_force=True)
            elif instance.state == State.DRAINING:
                if not self._launcher.sockets.is_local:
                    self._leaving.add(instance.pk)
                if instance.pk not in self._asked:
                    self._asked.add(instance.pk)
                    self._launcher.terminate(instance.pk, instance.process, by_force=False)
