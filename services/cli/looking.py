"""List, status, stats, health: what is known of services, as tables or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from agents.terminal.inert import one_line
from services import describing, registry
from services.cli.logs import short
from services.cli.screen import Screen, as_json
from services.models import Service
from services.selection import with_tags

Options = dict[str, Any]
Json = dict[str, Any]

INSTANCE_COLUMNS = {
    "instance": "instance_id",
    "state": "state",
    "pid": "pid",
    "endpoint": "endpoint",
    "started": "started_at",
    "sessions": "active_sessions",
    "memory MB": "memory_mb",
    "CPU %": "cpu_percent",
}

HEALTH_COLUMNS = {
    "instance": "instance_id",
    "health": "health",
    "memory MB": "memory_mb",
    "loop lag ms": "loop_lag_ms",
    "turns/min": "turns_per_minute",
    "p95 ms": "turn_p95_ms",
    "error": "error",
}

CHECK_COLUMNS = {
    "checked": "checked_at",
    "instance": "instance_id",
    "healthy": "is_healthy",
    "answered in ms": "latency_ms",
    "detail": "detail",
}

ERROR_LENGTH = 60
"""Characters of an error that a list shows; `status` shows all."""

SERVICE_FACTS = (
    *("name", "service_id", "status", "desired", "error_message", "endpoint", "description"),
    *("agent_factory_path", "url", "host", "port", "tags", "replicas", "weight", "auto_start"),
    *("created_at", "started_at", "last_health_check", "restart_count"),
)


def show_list(screen: Screen, options: Options) -> None:
    services = with_tags(Service.objects.order_by("name"), options["tags"] or ())
    if options["status"]:
        services = services.filter(status=options["status"])
    live = describing.live_by_service()
    found = [_whole(service, live.get(service.pk, [])) for service in services]
    if options["json"]:
        screen.say(as_json(found))
        return
    columns = ("name", "status", "processes", "endpoint", "tags", "error")
    screen.table(columns, map(_row, found))


def show_status(screen: Screen, options: Options) -> None:
    service = registry.find(options["name"])
    found = _whole(service, describing.live_instances(service))
    if options["json"]:
        screen.say(as_json(found))
        return
    screen.facts((name, found[name]) for name in SERVICE_FACTS)
    screen.facts(found["config"].items())
    _show_rows(screen, INSTANCE_COLUMNS, found["instances"])


def show_stats(screen: Screen, options: Options) -> None:
    if options["name"] is None:
        found = describing.system_stats()
    else:
        found = describing.service_stats(registry.find(options["name"]))
    if options["json"]:
        screen.say(as_json(found))
        return
    screen.facts(_flat(found))


def show_health(screen: Screen, options: Options) -> None:
    found = describing.service_health(registry.find(options["name"]))
    if options["json"]:
        screen.say(as_json(found))
        return
    screen.facts((name, found[name]) for name in ("name", "status", "last_health_check"))
    _show_rows(screen, HEALTH_COLUMNS, found["instances"])
    _show_rows(screen, CHECK_COLUMNS, found["checks"])


def _whole(service: Service, instances: list[Any]) -> Json:
    return describing.service_json(service, instances) | {
        "instances": [describing.instance_json(instance) for instance in instances]
    }


def _row(found: Json) -> tuple[object, ...]:
    processes = len(found["instances"])
    return (
        found["name"],
        found["status"],
        "elsewhere" if found["url"] else f"{processes}/{found['replicas']}",
        found["endpoint"],
        found["tags"],
        one_line(found["error_message"].partition("\n")[0], ERROR_LENGTH),
    )


def _show_rows(screen: Screen, columns: dict[str, str], found: Iterable[Json]) -> None:
    shown = [row | {"instance_id": short(row["instance_id"])} for row in found]
    rows = [[row[name] for name in columns.values()] for row in shown]
    if rows:
        screen.say("")
        screen.table(tuple(columns), rows)


def _flat(found: Json, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
