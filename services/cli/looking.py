"""The verbs list, status, stats, health: information on services, as tables or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_noop

from services.catalogue import registry
from services.catalogue.selection import with_tags
from services.cli.cells import Moment, Repeated, Summary, Word
from services.cli.logs import short
from services.cli.screen import Screen, as_json
from services.models import Service
from services.routing import endpoints
from services.supervision import figures, supervisor_lease
from services.supervision.figures import Figures
from services.views import describing
from services.views.observers import Observers

Options = dict[str, Any]
Json = dict[str, Any]

INSTANCE_COLUMNS = {
    gettext_noop("instance"): "instance_id",
    gettext_noop("state"): "state",
    gettext_noop("pid"): "pid",
    gettext_noop("machine"): "host",
    gettext_noop("supervisor"): "supervisor",
    gettext_noop("started"): "started_at",
    gettext_noop("sessions"): "active_sessions",
    gettext_noop("memory MB"): "memory_mb",
    gettext_noop("CPU %"): "cpu_percent",
}

ENDED_COLUMNS = {
    gettext_noop("instance"): "instance_id",
    gettext_noop("state"): "state",
    gettext_noop("pid"): "pid",
    gettext_noop("ended"): "ended_at",
    gettext_noop("error"): "error",
}

HEALTH_COLUMNS = {
    gettext_noop("instance"): "instance_id",
    gettext_noop("health"): "health",
    gettext_noop("memory MB"): "memory_mb",
    gettext_noop("loop lag ms"): "loop_lag_ms",
    gettext_noop("error"): "error",
}

CHECK_COLUMNS = {
    gettext_noop("checked"): "checked_at",
    gettext_noop("instance"): "instance_id",
    gettext_noop("healthy"): "is_healthy",
    gettext_noop("answered in ms"): "latency_ms",
    gettext_noop("detail"): "detail",
}

LIST_COLUMNS = (
    gettext_noop("name"),
    gettext_noop("status"),
    gettext_noop("processes"),
    gettext_noop("endpoint"),
    gettext_noop("tags"),
    gettext_noop("error"),
)

HEALTH_FACTS = (
    *("name", "status", "service_status", "observed_at"),
    *("error_message", "last_health_check"),
)

WORDS = frozenset({"status", "service_status", "desired", "state", "health"})
"""Fields that hold words of our own: states of services and instances, and these."""

HEALTH_WORDS = (
    gettext_noop("healthy"),
    gettext_noop("degraded"),
    gettext_noop("unhealthy"),
    gettext_noop("unknown"),
)
"""See `Instance.health`."""

MOMENTS = frozenset(
    {
        *("created_at", "started_at", "ended_at", "checked_at"),
        *("last_health_check", "observed_at"),
    }
)

SERVICE_FACTS = (
    *("name", "service_id", "status", "observed_at", "desired", "error_message"),
    *("endpoint", "description"),
    *("agent_factory_path", "url", "host", "port", "own_port_error"),
    *("tags", "replicas", "weight", "auto_start"),
    *("created_at", "started_at", "last_health_check", "restart_count"),
)


def show_list(screen: Screen, options: Options) -> None:
    services = with_tags(Service.objects.order_by("name"), options["tags"] or ())
    observers = Observers.read()
    if options["status"]:
        services = observers.with_status(services, options["status"])
    live = describing.live_by_service()
    site, seen = endpoints.site_address(), figures.read()
    found = [
        _whole(service, live.get(service.pk, []), site, seen, observers) for service in services
    ]
    if options["json"]:
        screen.say(as_json(found))
        return
    waits = _waiting_word() if any(map(_is_to_start, found)) else None
    screen.table(LIST_COLUMNS, (_row(each, waits) for each in found))


def show_status(screen: Screen, options: Options) -> None:
    service = registry.find(options["name"])
    instances, site = describing.live_instances(service), endpoints.site_address()
    found = _whole(service, instances, site, figures.read(), Observers.read(service))
    ended = [describing.ended_json(each) for each in describing.ended_instances(service)]
    found["ended"] = ended
    if options["json"]:
        screen.say(as_json(found))
        return
    screen.facts((name, _value(found, name)) for name in SERVICE_FACTS)
    screen.facts(found["config"].items())
    _show_rows(screen, INSTANCE_COLUMNS, found["instances"])
    _show_rows(screen, ENDED_COLUMNS, ended)


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
    found = describing.service_health(registry.find(options["name"]), endpoints.site_address())
    if options["json"]:
        screen.say(as_json(found))
        return
    screen.facts((name, _value(found, name)) for name in HEALTH_FACTS)
    _show_rows(screen, HEALTH_COLUMNS, found["instances"])
    _show_rows(screen, CHECK_COLUMNS, found["checks"])


def _whole(
    service: Service, instances: list[Any], site: str, seen: Figures, observers: Observers
) -> Json:
    whole = describing.service_json(service, site, seen, observers)
    endpoint = whole["endpoint"]
    described = [describing.instance_json(each, endpoint, observers) for each in instances]
    return whole | {"instances": described}


def _is_to_start(found: Json) -> bool:
    wanted = (found["status"], found["desired"]) == (Service.Status.STOPPED, "running")
    return wanted and not found["url"]


def _waiting_word() -> Word | None:
    """The word shown for a service that should run but does not; None while somebody supervises."""
    if supervisor_lease.is_anybody_in_charge():
        return None
    if settings.MYAGENT_SUPERVISOR == "external":
        return Word(gettext_noop("stopped (starts with the next supervise)"))
    return Word(gettext_noop("stopped (starts with the next serve)"))


def _row(found: Json, waits: Word | None) -> tuple[object, ...]:
    return (
        found["name"],
        waits if waits and _is_to_start(found) else Word(found["status"]),
        Word(gettext_noop("elsewhere")) if found["url"] else _processes(found),
        found["endpoint"],
        found["tags"],
        Summary(found["error_message"]),
    )


def _processes(found: Json) -> str:
    """The number of live replicas, and of other workers."""
    instances = found["instances"]
    apart = sum(each["supervisor"] != each["host"] for each in instances)
    counted = f"{len(instances) - apart}/{found['replicas']}"
    return f"{counted} +{apart}" if apart else counted


def _show_rows(screen: Screen, columns: dict[str, str], found: Iterable[Json]) -> None:
    shown = [row | {"instance_id": short(row["instance_id"])} for row in found]
    rows = [[_value(row, name) for name in columns.values()] for row in shown]
    if rows:
        screen.say("")
        screen.table(tuple(columns), rows)


def _value(found: Json, name: str) -> object:
    value = found[name]
    if not value:
        return value
    if name in MOMENTS:
        return Moment(value)
    if name == "supervisor" and value == found["host"]:
        return Repeated(value)
    return Word(value) if name in WORDS else value


def _flat(found: Json, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
