"""How a server chooses services for its clients: from its last snapshot, without a query."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from agents.directory import Choice, Facts
from agents.models import LEASE_HOLDS, Server
from services.routing.deciding import decide
from services.routing.rules import Candidate, Rule, Strategy
from services.routing.snapshot import Snapshot
from services.routing.strategies import Turns


class Choosing:
    """`clients_here`: the number of this server's clients of a service."""

    def __init__(self, clients_here: Callable[[str], int]) -> None:
        self.clients_elsewhere: Mapping[str, int] = {}
        self.counts_connections = False
        """Whether some rule decides by the number of connections."""
        self._clients_here = clients_here
        self._turns = Turns()
        self._rules: Sequence[Rule] = ()
        self._running: Sequence[Candidate] = ()

    def take(self, snapshot: Snapshot) -> None:
        """From now on the rules and services of the snapshot hold."""
        self._rules = snapshot.rules
        self._running = snapshot.candidates
        used = {each for rule in self._rules for each in (rule.strategy, rule.fallback_strategy)}
        self.counts_connections = Strategy.LEAST_CONNECTIONS in used
        self._turns.forget({"", *(rule.rule_id for rule in self._rules)})

    def choose(self, facts: Facts, *, without: Collection[str] = ()) -> Choice | None:
        """A service; None if the client has to name one."""
        running = [each for each in self._running if each.name not in without]
        if self.counts_connections:
            running = [replace(each, connections=self._clients(each.name)) for each in running]
        decision = decide(self._rules, running, facts, self._turns)
        if decision.chosen is None:
            return None
        is_by_client = decision.strategy is Strategy.HASH_BASED
        return Choice(decision.chosen.name, facts.client_ip if is_by_client else "")

    def _clients(self, service: str) -> int:
        return self._clients_here(service) + self.clients_elsewhere.get(service, 0)


def clients_elsewhere(own_id: str) -> Mapping[str, int]:
    """The clients of each service at all live servers but one. Synchronous, one query."""
    found: Counter[str] = Counter()
    others = Server.objects.filter(LEASE_HOLDS).exclude(pk=own_id)
    for report in others.values_list("report", flat=True):
        for service, figures in report.get("services", {}).items():
            found[service] += figures.get("connections") or 0
    return found
