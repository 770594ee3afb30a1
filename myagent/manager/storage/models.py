"""Services as values, their desired and their observed state; and rules of routing."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from myagent.routing import ConditionOperator, RoutingStrategy

Json = Mapping[str, Any]


class ServiceStatus(StrEnum):
    """The observed status of a service. `UNKNOWN`: no supervisor has observed it for too long."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    UNHEALTHY = "unhealthy"
    STOPPING = "stopping"
    ERROR = "error"
    UNKNOWN = "unknown"


class HealthStatus(StrEnum):
    """`DEGRADED`: some of its processes do not answer as they should, or are missing.

    `UNKNOWN`: it has no process that could be asked.
    """

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class ServiceConfig:
    """How a service's processes are run. None: the site's own setting, or no limit.

    `session_timeout_s` and `restart_delay_s` are seconds, and may be given
    without their `_s`. `python`: the interpreter that runs the agent file, the
    site's own if empty. `environment` is kept encrypted and never read back:
    None, in a change, leaves it as it is.
    """

    agent_factory_path: str = ""
    max_sessions: int | None = None
    session_timeout_s: float | None = None
    auto_restart: bool = True
    max_restart_count: int = 5
    restart_delay_s: float = 1.0
    memory_limit_mb: int | None = None
    python: str = ""
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    session_timeout: InitVar[float | None] = None
    restart_delay: InitVar[float | None] = None

    def __post_init__(self, session_timeout: float | None, restart_delay: float | None) -> None:
        if session_timeout is not None:
            object.__setattr__(self, "session_timeout_s", session_timeout)
        if restart_delay is not None:
            object.__setattr__(self, "restart_delay_s", restart_delay)


@dataclass(frozen=True, kw_only=True)
class InstanceInfo:
    """A process of a service, as it was last observed.

    `host` is the machine that it runs on; it has no port. `endpoint`: the service's.
    `supervisor`: the machine again, or the name of one that keeps it beside the replicas.
    """

    instance_id: str
    state: str
    observed_at: datetime
    pid: int | None
    host: str
    supervisor: str
    port: int | None
    endpoint: str
    started_at: datetime | None
    restart_count: int
    active_sessions: int | None
    memory_mb: float | None
    cpu_percent: float | None
    loop_lag_ms: float | None
    health: str
    error: str
    version: str

    @classmethod
    def from_json(cls, found: Json) -> Self:
        moments = {name: _moment(found[name]) for name in ("observed_at", "started_at")}
        return cls(**_known(cls, found) | moments)


@dataclass(frozen=True, kw_only=True)
class ServiceInfo:
    """A service as it was when it was read; `get_service` reads it again.

    `desired` is the requested state, `running` or `stopped`; `status` is what was observed at
    `observed_at`. `endpoint` is its address, whether or not it runs; empty while no server of the
    site is alive. `own_port_error`: why its own port is not open.
    """

    service_id: str
    name: str
    description: str
    agent_factory_path: str
    url: str
    host: str
    port: int | None
    own_port_error: str
    endpoint: str
    tags: frozenset[str]
    status: ServiceStatus
    observed_at: datetime | None
    desired: str
    replicas: int
    weight: int
    auto_start: bool
    created_at: datetime
    started_at: datetime | None
    last_health_check: datetime | None
    error_message: str
    restart_count: int
    config: ServiceConfig
    instances: tuple[InstanceInfo, ...]

    @classmethod
    def from_json(cls, found: Json, instances: Sequence[Json]) -> Self:
        moments = ("created_at", "observed_at", "started_at", "last_health_check")
        config = found["config"] | {"agent_factory_path": found["agent_factory_path"]}
        return cls(
            **_known(cls, found)
            | {name: _moment(found[name]) for name in moments}
            | {
                "tags": frozenset(found["tags"]),
                "status": ServiceStatus(found["status"]),
                "config": ServiceConfig(**_known(ServiceConfig, config)),
                "instances": tuple(map(InstanceInfo.from_json, instances)),
            }
        )


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """What one check found. `detail` says what is wrong; empty if nothing is.

    `instance_id` is None for a service that runs elsewhere.
    """

    instance_id: str | None
    is_healthy: bool
    latency_ms: float | None
    detail: str


@dataclass(frozen=True, kw_only=True)
class ServiceHealth:
    """What checks of all the service's processes found."""

    service_id: str
    name: str
    status: HealthStatus
    checks: tuple[HealthCheck, ...]


@dataclass(frozen=True, kw_only=True)
class RoutingCondition:
    """What must be so of a client.

    `field`: `client_ip`, `user_agent`, `path`, `user`, `header.NAME`, `query.NAME`, or
    `metadata.NAME`. `value`: a text; several for `IN_LIST`, `NOT_IN_LIST` and `CIDR`; for `EXISTS`
    whether it does.
    """

    field: str
    operator: ConditionOperator | str
    value: str | bool | Sequence[str] = ""
    case_sensitive: bool = True


@dataclass(frozen=True, kw_only=True)
class RoutingRule:
    """Which services clients are sent to that name none: see the documentation of routing.

    `rule_id` and `warnings` are given by the manager; the latter say why the rule can have no
    effect as things are.
    """

    name: str
    description: str = ""
    priority: int = 100
    weight: int = 1
    enabled: bool = True
    conditions: Sequence[RoutingCondition] = ()
    target_strategy: RoutingStrategy | str = RoutingStrategy.ROUND_ROBIN
    target_services: Sequence[str] = ()
    target_tags: Collection[str] = ()
    fallback_strategy: RoutingStrategy | str | None = None
    rule_id: str = ""
    warnings: Sequence[str] = ()

    @classmethod
    def from_json(cls, found: Json) -> Self:
        fallback = found["fallback_strategy"]
        return cls(
            **_known(cls, found)
            | {
                "conditions": tuple(map(_condition, found["conditions"])),
                "target_strategy": RoutingStrategy(found["target_strategy"]),
                "target_services": tuple(found["target_services"]),
                "target_tags": frozenset(found["target_tags"]),
                "fallback_strategy": RoutingStrategy(fallback) if fallback else None,
                "warnings": tuple(found["warnings"]),
            }
        )


def _condition(found: Json) -> RoutingCondition:
    return RoutingCondition(**{**found, "operator": ConditionOperator(found["operator"])})


def _known(kind: Any, found: Json) -> dict[str, Any]:
    """What the class has a field for: the site may tell more."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in found.items() if name in names}


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
