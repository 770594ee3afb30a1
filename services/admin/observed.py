"""The observed part of a service's page: instances, checks, and the end of a log."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext

from agents.terminal import inert
from services.admin.glance import NOTHING, Glance, cells_of, live_of, since
from services.admin.texts import TEXTS
from services.logs.logfiles import path_of, tail
from services.models import Instance, Service
from services.nodes import this_node
from services.telling import told
from services.views.describing import instance_json
from services.views.observers import Observers
from services.views.standing import standing_of, state_text

ENDED_SHOWN = 5
CHECKS_SHOWN = 20
LOG_LINES = 200
LOG_BYTES = 65_536
LINE_LENGTH = 2_000
"""Maximum number of characters of a log line that are shown."""


def context_of(service: Service, chosen: str | None) -> dict[str, Any]:
    """The context of `observed.html`. `chosen`: the id of the instance whose log is shown.

    `service`: read through `with_live_instances`.
    """
    live = sorted(live_of(service), key=lambda instance: instance.slot)
    ended = service.instances.filter(live_slot__isnull=True)
    instances = [*live, *ended.order_by("-launched_at")[:ENDED_SHOWN]]
    shown = next((one for one in instances if one.pk == chosen), next(iter(instances), None))
    checks = service.health_checks.select_related("instance").order_by("-checked_at")
    glance = Glance.read()
    observers, cells = glance.observers, cells_of(service, glance)
    standing = standing_of(service, live, observers)
    return {
        "text": TEXTS,
        "service": service,
        "chat": standing.chat,
        "error": readable_lines(observers.error_of(service)),
        "own_port_error": readable_lines(told(glance.figures.trouble_with_port(service))),
        "cells": [(TEXTS[name], name, cell) for name, cell in cells.items()],
        "verbs": standing.verbs,
        "instances": [_row(one, observers) for one in instances],
        "checks": checks[:CHECKS_SHOWN],
        "shown": shown,
        "log": log_of(service, shown) if shown else "",
    }


def log_of(service: Service, instance: Instance) -> str:
    """The last lines of an instance's log, as harmless text."""
    if instance.node != this_node():
        return gettext("This instance ran on {node}: its log is there.").format(node=instance.node)
    lines = tail(path_of(service.pk, instance.pk), LOG_LINES, LOG_BYTES)
    return "\n".join(map(readable, lines))


def readable(line: str) -> str:
    """A line cut to a length, without characters that control a terminal or reorder text."""
    text = inert.readable(line)
    return text if len(text) <= LINE_LENGTH else f"{text[:LINE_LENGTH]}…"


def _row(instance: Instance, observers: Observers) -> dict[str, Any]:
    described = instance_json(instance, "", observers)
    return described | {
        "slot": instance.slot,
        "state_text": state_text(described["state"]),
        "uptime": NOTHING if instance.has_ended else since(instance.ready_at),
        "memory": _number(described["memory_mb"], "MB"),
        "cpu": _number(described["cpu_percent"], "%"),
        "loop_lag": _number(described["loop_lag_ms"], "ms"),
        "error": readable_lines(described["error"]),
    }


def readable_lines(text: str) -> str:
    return "\n".join(map(readable, text.splitlines()))


def _number(value: Any, unit: str) -> str:
    return NOTHING if value is None else f"{value:.0f} {unit}"
