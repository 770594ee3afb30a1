"""The figures in the servers' reports on their sessions, by service.

A service's sessions are held by servers, however many processes run its agent: its figures are sums
over the servers' reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_noop

from agents.models import LEASE_HOLDS, Server
from myagent.sentence import Said
from services.models import Service
from services.telling import kept

Json = dict[str, Any]

OWN_PORTS = "own_ports"
"""Key in a server's report: for each service with an own port that is not open, the reason."""

NEEDS_SERVE = gettext_noop(
    "Nobody listens at the service's own port: only 'manage.py serve' opens such ports, and no "
    "such server of the site is running."
)

SUMMED = ("active_sessions", "running", "connections", "turns_per_minute")
WORST = ("turn_p95_ms",)
NOT_KNOWN: Json = dict.fromkeys((*SUMMED, *WORST))


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one moment.

    `reports`: for each live server its report and the service it is for, which is empty for all
    services.
    """

    reports: Sequence[tuple[str, Json]]

    def of(self, service: Service) -> Json:
        """A number for each name of `NOT_KNOWN`; null if no server could know it."""
        serving = [report for of, report in self.reports if of in ("", service.name)]
        if not serving:
            return NOT_KNOWN
        found = _combined(report.get("services", {}).get(service.name, {}) for report in serving)
        # Of an external service nothing else is known than who is connected.
        known = ("connections",) if service.is_external else NOT_KNOWN
        return NOT_KNOWN | {name: found[name] for name in known}

    def together(self) -> Json:
        """The same for all services together."""
        return _combined(
            part for _, report in self.reports for part in report.get("services", {}).values()
        )

    def trouble_with_port(self, service: Service) -> str:
        """Why the service's own port is not open, as `services.telling` stores it.

        Empty if it has none, if some server has it open, or if a server has not reported yet.
        """
        if service.port is None or service.is_external:
            return ""
        site = [report for of, report in self.reports if not of]
        openers = [report[OWN_PORTS] for report in site if OWN_PORTS in report]
        if not openers:
            # A report is empty until the first renewal of the lease.
            return kept(Said(NEEDS_SERVE)) if all(site) else ""
        troubles = [str(each.get(service.name, "")) for each in openers]
        return troubles[0] if all(troubles) else ""

    def has_port_open(self, service: Service) -> bool:
        """Whether a server has reported that the service's own port is open."""
        site = [report for of, report in self.reports if not of]
        return any(report.get(OWN_PORTS, {}).get(service.name) == "" for report in site)

    @property
    def connections(self) -> int:
        """The open sockets of the servers."""
        return sum(report.get("connections") or 0 for _, report in self.reports)


def read() -> Figures:
    """Synchronous, one query."""
    alive = Server.objects.filter(LEASE_HOLDS)
    return Figures(list(alive.values_list("service", "report")))


def _combined(parts: Iterable[Json]) -> Json:
    found = list(parts)
    summed = {name: sum(part.get(name) or 0 for part in found) for name in SUMMED}
    known = {name: [part[name] for part in found if part.get(name) is not None] for name in WORST}
    return summed | {name: max(values, default=None) for name, values in known.items()}
