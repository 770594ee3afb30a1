"""The processes on a service's page: instances, checks, and the end of a log."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext

from agents.terminal import inert
from services.admin.glance import NOTHING, cells_of, live_of, since, verbs_of
from services.admin.texts import TEXTS
from services.logs.logfiles import path_of, tail
from services.models import Instance, Service
from services.nodes import this_node
from services.routing.endpoints import chat_of
from services.supervision import figures
from services.telling import told
from services.views.describing import instance_json

ENDED_SHOWN = 5
CHECKS_SHOWN = 20
LOG_LINES = 200
LOG_BYTES = 65_536
LINE_LENGTH = 2_000
"""The most characters of a log line that are shown."""


def context_of(service: Service, chosen: str | None) -> dict[str, Any]:
    """The context of `observed.html`. `chosen`: the id of the instance whose log is shown.

    `service`: read through `with_live_instances`.
    """
    live = sorted(live_of(service), key=lambda instance: instance.slot)
    ended = service.instances.filter(live_slot__isnull=True)
    instances = [*live, *ended.order_by("-launched_at")[:ENDED_SHOWN]]
    shown = next((one for one in instances if one.pk == chosen), next(iter(instances), None))
    checks = service.health_checks.select_related("instance").order_by("-checked_at")
    seen = figures.read()
    cells = cells_of(service, seen)
    return {
        "text": TEXTS,
        "service": service,
        "chat": chat_of(service),
        "error": readable_lines(told(service.error_message)),
        "own_port_error": readable_lines(told(seen.trouble_with_port(service))),
        "cells": [(TEXTS[name], name, cell) for name, cell in cells.items()],
        "verbs": verbs_of(service),
        "instances": [_row(one) for one in instances],
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
    """A line without characters that control a terminal or reorder text, cut to a length."""
    text = inert.readable(line)
    return text if len(text) <= LINE_LENGTH else f"{text[:LINE_LENGTH]}…"


def _row(instance: Instance) -> dict[str, Any]:
    described = instance_json(instance, endpoint="")
    return described | {
        "slot": instance.slot,
        "state_text": instance.get_state_display(),
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
