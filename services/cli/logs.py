"""The output of a service's processes: the last lines, and new ones."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext

from services.catalogue import registry
from services.cli.screen import Screen
from services.logs.logfiles import Follower, path_of
from services.models import Instance, Service
from services.nodes import this_node

Options = dict[str, Any]

LOOK_S = 0.2
"""Seconds between two reads of the files."""

INSTANCES_LOOK_S = 1.0
"""Seconds between two checks for new processes."""

ALL_LINES = 1_000_000
"""Lines of a new process's log: more than it can have written."""

ALL_BYTES = 1 << 40
"""All requested lines are shown, however long they are; the files themselves are bounded."""


def show_logs(screen: Screen, options: Options) -> None:
    """Raises `CommandError` and `ServiceError`."""
    service = registry.find(options["name"])
    if service.is_external:
        raise CommandError(
            gettext("{name} runs elsewhere: its log is there.").format(name=service.name)
        )
    instances = [_named(service, options["instance"])] if options["instance"] else shown(service)
    _refuse_those_elsewhere(instances)
    never = gettext("{name} has not been started yet.").format(name=service.name)
    if options["follow"]:
        if not instances:
            screen.say(never)
        new = None if options["instance"] else service
        with contextlib.suppress(KeyboardInterrupt):
            _Following(screen, options["lines"]).run(instances, new)
        return
    if not instances:
        raise CommandError(never)
    paper = _Paper(screen, has_heads=len(instances) > 1)
    for instance in instances:
        with _log_of(instance, options["lines"]) as log:
            while lines := log.read():
                paper.show(instance, lines)
            paper.show(instance, log.rest())


def shown(service: Service) -> list[Instance]:
    """Its live processes; if none of them serves, also the one that ended last."""
    live = list(service.instances.filter(live_slot__isnull=False).order_by("live_slot"))
    if any(instance.state in Instance.SERVING for instance in live):
        return live
    ended = service.instances.filter(live_slot__isnull=True).order_by("-launched_at").first()
    return [*([ended] if ended else []), *live]


def short(instance_id: str | None) -> str:
    """The end of an id: its start is a time, which processes started together share.

    Empty if there is no process of ours, as with an external service.
    """
    return (instance_id or "").rpartition("-")[2]


def _named(service: Service, instance_id: str) -> Instance:
    """The instance with that id, or with an id that ends with it."""
    found = None
    # Unprintable text can't always be used in a query.
    if instance_id.isprintable():
        is_meant = Q(pk=instance_id) | Q(pk__endswith=f"-{instance_id}")
        found = service.instances.filter(is_meant).first()
    if found is None:
        raise CommandError(
            gettext("{name} has no process '{id}'; see status {name}.").format(
                name=service.name, id=instance_id
            )
        )
    return found


def _log_of(instance: Instance, lines: int) -> Follower:
    return Follower(path_of(instance.service_id, instance.pk), lines, ALL_BYTES)


def _refuse_those_elsewhere(instances: list[Instance]) -> None:
    here = this_node()
    nodes = {instance.node for instance in instances}
    if nodes and here not in nodes:
        raise CommandError(
            gettext("Its log is on another machine: {machines}.").format(
                machines=", ".join(sorted(nodes))
            )
        )


class _Paper:
    """Prints lines of several logs one after the other, each under a heading."""

    def __init__(self, screen: Screen, *, has_heads: bool) -> None:
        self._screen = screen
        self._latest = ""
        self.has_heads = has_heads

    def show(self, instance: Instance, lines: list[str]) -> None:
        if lines and self.has_heads and self._latest != instance.pk:
            gap = "\n" if self._latest else ""
            self._screen.say(f"{gap}==> {short(instance.pk)} (slot {instance.slot}) <==")
            self._latest = instance.pk
        for line in lines:
            self._screen.say(line)


class _Following:
    """Follows logs through rotations and new processes."""

    def __init__(self, screen: Screen, lines: int) -> None:
        self._paper = _Paper(screen, has_heads=False)
        self._lines = lines
        self._followed: dict[str, tuple[Instance, Follower]] = {}
        self._known: set[str] = set()
        self._began = timezone.now()

    def run(self, instances: list[Instance], service: Service | None) -> None:
        """`service`: its new processes are followed as well. Ends when there is nothing left."""
        self._add(instances, self._lines)
        looked = time.monotonic()
        while self._followed or service is not None:
            is_due = time.monotonic() - looked >= INSTANCES_LOOK_S
            gone = self._ended() if is_due else set()
            if is_due:
                looked = time.monotonic()
                service = self._look_for_more(service)
            if not self._show_new():
                self._forget(gone)
                time.sleep(LOOK_S)

    def _add(self, instances: list[Instance], lines: int) -> None:
        for instance in instances:
            self._followed[instance.pk] = instance, _log_of(instance, lines)
            self._known.add(instance.pk)
        self._paper.has_heads |= len(self._known) > 1

    def _look_for_more(self, service: Service | None) -> Service | None:
        """The service, or None if it was unregistered and is gone."""
        if service is None or not Service.objects.filter(pk=service.pk).exists():
            return None
        # A process that fails at once has ended by now.
        recent = Q(live_slot__isnull=False) | Q(launched_at__gte=self._began)
        found = service.instances.filter(recent).order_by("launched_at")
        self._add([one for one in found if one.pk not in self._known], ALL_LINES)
        return service

    def _show_new(self) -> bool:
        has_more = False
        for instance, follower in self._followed.values():
            if lines := follower.read():
                self._paper.show(instance, lines)
                has_more = True
        return has_more

    def _ended(self) -> set[str]:
        """The instances whose process had ended before their log was last read."""
        live = Instance.objects.filter(pk__in=self._followed, live_slot__isnull=False)
        return set(self._followed) - set(live.values_list("pk", flat=True))

    def _forget(self, gone: set[str]) -> None:
        for instance_id in gone:
            instance, follower = self._followed.pop(instance_id)
            self._paper.show(instance, follower.rest())
            follower.close()
