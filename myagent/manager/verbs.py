"""The manager's calls of the site, each in one thread that may use the database.

The verbs are `services.catalogue.registry` and `services.control`; here their rows become values,
so that no Django object leaves these functions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from myagent.manager.fields import rule_fields
from myagent.manager.storage.models import (
    HealthCheck,
    HealthStatus,
    RoutingRule,
    ServiceHealth,
    ServiceInfo,
)

Json = dict[str, Any]
Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Look:
    """A service while it is waited for. `service`: None once it is gone."""

    service: ServiceInfo | None
    is_leaving: bool = False
    has_arrived: bool = False
    has_failed: bool = False


def register(fields: Fields, environment: Mapping[str, str], *, replace: bool) -> ServiceInfo:
    """`replace`: one of that name is changed into this one."""
    from services import control
    from services.catalogue import registry
    from services.errors import Conflict

    try:
        return _info(registry.register(environment=environment, **fields))
    except Conflict as error:
        if not replace or error.code != "name_taken":
            raise
    service = registry.change(registry.find(fields["name"]), environment=environment, **fields)
    if service.auto_start and not service.is_external:
        control.start(service)
    return _info(service)


def change(name_or_id: str, fields: Fields, environment: Mapping[str, str] | None) -> ServiceInfo:
    from services.catalogue import registry

    return _info(registry.change(registry.find(name_or_id), environment=environment, **fields))


def unregister(name_or_id: str) -> ServiceInfo:
    from services.catalogue import registry

    service = registry.find(name_or_id)
    asked = _info(service)
    registry.unregister(service)
    return asked


def start(name_or_id: str) -> ServiceInfo:
    from services import control

    return _ask(name_or_id, control.start)


def stop(name_or_id: str) -> ServiceInfo:
    from services import control

    return _ask(name_or_id, control.stop)


def restart(name_or_id: str) -> ServiceInfo:
    from services import control

    return _ask(name_or_id, control.restart)


def get(name_or_id: str) -> ServiceInfo:
    from services.catalogue import registry

    return _info(registry.find(name_or_id))


def select(status: str | None, tags: Collection[str]) -> list[ServiceInfo]:
    from services.catalogue.selection import with_tags
    from services.models import Service
    from services.routing import endpoints
    from services.supervision import figures
    from services.views import describing
    from services.views.observers import Observers

    found, observers = with_tags(Service.objects.order_by("name"), tags), Observers.read()
    if status is not None:
        found = observers.with_status(found, status)
    live = describing.live_by_service()
    site, seen = endpoints.site_address(), figures.read()
    return [
        _as_info(
            describing.service_json(service, site, seen, observers),
            live.get(service.pk, ()),
            observers,
        )
        for service in found
    ]


def watch(service_id: str, timeout_s: float) -> Any:
    """For `look`, and to be asked for its `pause_s` between two looks; in any thread."""
    from services.waiting import Watch

    return Watch(service_id, timeout_s)


def look(watch: Any) -> Look | None:
    """The service, unless nothing has changed since the last look of the `watch`."""
    progress = watch.look()
    if progress is None:
        return None
    return Look(
        progress.service and _info(progress.service),
        is_leaving=progress.is_leaving,
        has_arrived=progress.has_arrived,
        has_failed=progress.has_failed,
    )


def logs(name_or_id: str, lines: int, instance_id: str | None) -> list[str]:
    from services.catalogue import registry
    from services.logs import reading as logs

    instance = logs.instance_of(registry.find(name_or_id), instance_id)
    return [] if instance is None else logs.tail_of(instance, lines)


def stats(name_or_id: str) -> Json:
    from services.catalogue import registry
    from services.views import describing

    return describing.service_stats(registry.find(name_or_id))


def system_stats() -> Json:
    from services.views import describing

    return describing.system_stats()


def add_rule(rule: RoutingRule) -> RoutingRule:
    from services.routing import rulebook

    return _rules([rulebook.add(**rule_fields(rule))])[0]


def rules() -> list[RoutingRule]:
    from services.models import RoutingRule as Row

    return _rules(Row.objects.all())


def replace_rule(rule: RoutingRule) -> RoutingRule:
    """That of its id, else that of its name, becomes this one."""
    return change_rule(rule.rule_id or rule.name, rule_fields(rule))


def change_rule(name_or_id: str, fields: Fields) -> RoutingRule:
    from services.routing import rulebook

    return _rules([rulebook.change(rulebook.find(name_or_id), **fields)])[0]


def remove_rule(name_or_id: str) -> None:
    from services.routing import rulebook

    rulebook.remove(rulebook.find(name_or_id))


def _rules(rows: Iterable[Any]) -> list[RoutingRule]:
    from services.routing import rulebook
    from services.views.rules import rule_json

    known = rulebook.registered()
    return [RoutingRule.from_json(rule_json(row, known)) for row in rows]


async def check(database: Any, name_or_id: str) -> ServiceHealth:
    """The only one for an event loop."""
    from services.catalogue import registry
    from services.supervision import health

    service = await database.run(registry.find, name_or_id)
    findings = await health.look_at(database, service)
    return ServiceHealth(
        service_id=service.pk,
        name=service.name,
        status=HealthStatus(health.verdict(service, findings)),
        checks=tuple(map(_check, findings)),
    )


def _check(finding: Any) -> HealthCheck:
    from services.models import Instance
    from services.telling import told

    checked = finding.checked
    return HealthCheck(
        instance_id=checked.pk if isinstance(checked, Instance) else None,
        is_healthy=finding.is_healthy,
        latency_ms=finding.latency_ms,
        detail=told(finding.detail),
    )


def _ask(name_or_id: str, verb: Any) -> ServiceInfo:
    from services.catalogue import registry

    service = registry.find(name_or_id)
    verb(service)
    return _info(service)


def _info(service: Any) -> ServiceInfo:
    """The service described alone, with a look at its port."""
    from services.routing import endpoints
    from services.views import describing
    from services.views.observers import Observers

    site, observers = endpoints.site_address(), Observers.read(service)
    found = describing.service_json(service, site, observers=observers, looks_at_port=True)
    return _as_info(found, describing.live_instances(service), observers)


def _as_info(found: Json, instances: Iterable[Any], observers: Any) -> ServiceInfo:
    from services.views import describing

    return ServiceInfo.from_json(
        found,
        [describing.instance_json(each, found["endpoint"], observers) for each in instances],
    )
