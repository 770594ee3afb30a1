"""A snapshot of the services: what a server needs to know about each. Synchronous reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from agents.directory import Listed
from agents.runs.remote import UNKNOWN
from services import doorbell
from services.models import Instance, Service
from services.nodes import this_node
from services.routing import stored
from services.routing.rules import Candidate, Rule
from services.supervision.lifecycle import ACTIVE, FAILURES, LEAVING

ACTIVE_STATES = frozenset(state.value for state in ACTIVE)
LEAVING_STATES = frozenset(state.value for state in LEAVING)

READ = (
    "name",
    "url",
    "desired",
    "status",
    "unregistered_at",
    "max_sessions",
    "session_timeout_s",
    "host",
    "port",
    "tags",
    "weight",
)
"""The columns of a service that are read here: others may be large."""


@dataclass(frozen=True, slots=True)
class Known:
    """A service, according to its row and its instances.

    `workers`: the addresses of those to dial, by id: see `Instance`. `service_id` distinguishes it
    from a later one of the same name. `leaving`: ids of those that are to end without having
    failed. `living`: ids of all whose processes may be alive, on any machine. `own_port`: its host
    and port, if it has its own address. `replaced`: ids of those that share their address with
    another generation, which replaces them or is replaced by them. `candidate`: what routing knows
    of it while it runs, without its connections.
    """

    service_id: str
    listed: Listed
    is_running: bool
    is_unhealthy: bool
    is_wanted: bool
    is_leaving: bool
    living: frozenset[str]
    workers: Mapping[str, str]
    leaving: frozenset[str]
    replaced: frozenset[str]
    own_port: tuple[str, int] | None
    candidate: Candidate | None

    @property
    def has_workers(self) -> bool:
        return bool(self.living)

    @property
    def is_over(self) -> bool:
        """Whether nobody will continue its runs."""
        return self.is_leaving or not (self.has_workers or self.is_wanted)


@dataclass(frozen=True, slots=True)
class External:
    """An external service, according to its row. `candidate`: as in `Known`."""

    listed: Listed
    candidate: Candidate | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`services` and `external` services, by name; `rules`, in the order in which they apply."""

    revision: doorbell.Revision
    services: dict[str, Known]
    external: dict[str, External] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    @property
    def candidates(self) -> list[Candidate]:
        """The services that routing may choose, without their connections."""
        return candidates(self.services, self.external)


def candidates(services: Mapping[str, Known], external: Mapping[str, External]) -> list[Candidate]:
    found = [known.candidate for known in services.values()]
    found += [known.candidate for known in external.values()]
    return [candidate for candidate in found if candidate is not None]


def read(known: doorbell.Revision) -> Snapshot | None:
    """The services as they are now; None if no bell rang since `known`. Synchronous."""
    # The bell is read before the rows: changes in between ring again.
    revision = doorbell.revision()
    if revision == known:
        return None
    return Snapshot(revision, *services_now(), stored.rules())


def services_now() -> tuple[dict[str, Known], dict[str, External]]:
    """The services and the external ones, by name. Synchronous, two queries."""
    instances: dict[str, list[Instance]] = {}
    live = Instance.objects.filter(live_slot__isnull=False).only(
        "service_id", "state", "node", "cause", "address", "generation"
    )
    for instance in live:
        instances.setdefault(instance.service_id, []).append(instance)
    services = list(Service.objects.only(*READ))
    ours = [each for each in services if not each.is_external]
    return (
        {each.name: _known(each, instances.get(each.pk, ())) for each in ours},
        {each.name: _external(each) for each in services if each.is_external},
    )


def _external(service: Service) -> External:
    is_wanted = service.desired == Service.Desired.RUNNING and service.unregistered_at is None
    listed = Listed(
        service.name,
        is_expected=is_wanted,
        max_sessions=service.max_sessions or 0,
        url=service.url,
    )
    return External(listed, _candidate_elsewhere(service) if is_wanted else None)


def _candidate_elsewhere(service: Service) -> Candidate | None:
    """Nothing but what its checks have found is known of it."""
    if service.status not in (Service.Status.RUNNING, Service.Status.UNHEALTHY):
        return None
    is_healthy = service.status == Service.Status.RUNNING
    return Candidate(service.name, service.weight, frozenset(service.tags), is_healthy=is_healthy)


def _known(service: Service, instances: Collection[Instance]) -> Known:
    is_wanted = service.desired == Service.Desired.RUNNING
    is_leaving = service.unregistered_at is not None
    is_given_up = service.status == Service.Status.ERROR
    reachable = [each for each in instances if _can_be_dialled(each)]
    return Known(
        service_id=service.pk,
        listed=Listed(
            service.name,
            is_expected=is_wanted and not (is_given_up or is_leaving),
            max_sessions=service.max_sessions or 0,
            session_timeout_s=service.session_timeout_s,
        ),
        is_running=any(each.state in Instance.SERVING for each in instances),
        is_unhealthy=any(each.state == Instance.State.UNHEALTHY for each in instances),
        is_wanted=is_wanted and not is_leaving,
        is_leaving=is_leaving,
        living=frozenset(each.pk for each in instances),
        # A state of a later version is none of these.
        workers={each.pk: each.address for each in reachable if each.state in ACTIVE_STATES},
        leaving=frozenset(each.pk for each in reachable if _is_asked_to_leave(each)),
        replaced=frozenset(each.pk for each in reachable if _is_replaced(each, reachable)),
        own_port=None if service.port is None or is_leaving else (service.host, service.port),
        candidate=None if is_leaving else _candidate(service, instances),
    )


def _can_be_dialled(instance: Instance) -> bool:
    return bool(instance.address or instance.node == this_node()) and instance.address != UNKNOWN


def _candidate(service: Service, instances: Collection[Instance]) -> Candidate | None:
    states = {each.state for each in instances}
    if not states.intersection(Instance.SERVING):
        return None
    is_healthy = Instance.State.RUNNING in states
    return Candidate(service.name, service.weight, frozenset(service.tags), is_healthy=is_healthy)


def _is_replaced(instance: Instance, others: Collection[Instance]) -> bool:
    """Whether another generation listens at its address."""
    generations = {each.generation for each in others if each.address == instance.address}
    return bool(instance.address) and generations != {instance.generation}


def _is_asked_to_leave(instance: Instance) -> bool:
    return instance.state in LEAVING_STATES and instance.cause not in FAILURES
