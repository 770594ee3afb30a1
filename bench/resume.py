"""A cold start: SIGKILL to a server, and all its clients come back to the next one at once.

`python -m bench.resume` prints the figures; `--json FILE` keeps them. The next
server has no session in memory. A client that sees an entry twice, out of order
or not at all raises.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from bench.arguments import parser_of
from bench.crowd import Crowd, TooFewFilesError, allow_files
from bench.report import Figure, publish, quantiles
from bench.subjects import AS_SHIPPED, ECHO_AGENT, Site, open_site

LOOK_S = 0.05
"""Seconds between two looks at the lease."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run: rounds of so many clients, with so many turns each.

    The entries of all turns but the first were under way when the server died.
    """

    rounds: int
    clients: tuple[int, ...]
    turns: int
    at_once: int = 40


FULL = Scale(rounds=3, clients=(1_000, 4_000), turns=4)
QUICK = Scale(rounds=1, clients=(20,), turns=2, at_once=10)


@dataclass(frozen=True, slots=True)
class Return:
    """`resumed_s`: from the moment all come back until each had its whole log.

    `lease_left_s`: the least that was left of the server's lease meanwhile.
    """

    resumed_s: list[float]
    lease_left_s: float


class LeaseWatch:
    """Looks at the newest server's lease from outside, by the database's clock.

    `least_left_s`: the least that was left of it.
    """

    def __init__(self) -> None:
        self.least_left_s = float("inf")
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        from django.db import connection

        try:
            while not self._is_over.wait(LOOK_S):
                self._look()
            self._look()
        finally:
            connection.close()

    def _look(self) -> None:
        from django.db.models.functions import Now

        from agents.models import Server

        newest = Server.objects.order_by("-started_at").values_list("lease_until", Now())
        until, now = newest[:1].get()
        self.least_left_s = min(self.least_left_s, (until - now).total_seconds())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()


def come_back(site: Site, clients: int, scale: Scale) -> Return:
    """A server of its own dies with all clients on it; all come back to the next."""
    with Crowd() as crowd:
        with site.start(ECHO_AGENT) as server:
            crowd.connect("session", server.url, clients, scale.at_once)
            crowd.take_turns(1, scale.at_once)
            crowd.note_places()
            crowd.take_turns(scale.turns - 1, scale.at_once)
            server.kill()
        with site.start(ECHO_AGENT) as server, LeaseWatch() as lease:
            resumed_s = crowd.resume(server.url)
    return Return(resumed_s, lease.least_left_s)


def measure_all(database: str, scale: Scale) -> list[Figure]:
    with open_site(database) as site:
        look_at(site.database_url)
        rounds = [[come_back(site, clients, scale) for clients in scale.clients]
                  for _ in range(scale.rounds)]  # fmt: skip
    figures = []
    for clients, returns in zip(scale.clients, zip(*rounds, strict=True), strict=True):
        target_s = 3.0 if clients == 1_000 else None
        figures += figures_of(f"{clients} clients", returns, target_s)
    return figures


def figures_of(detail: str, returns: Sequence[Return], target_s: float | None) -> list[Figure]:
    cuts = [quantiles(each.resumed_s) for each in returns]
    worst = [max(each.resumed_s) for each in returns]
    left = [each.lease_left_s for each in returns]
    held_s, renewed_s = AS_SHIPPED["MYAGENT_LEASE_S"], AS_SHIPPED["MYAGENT_RENEW_S"]
    lease = f"{detail}; {held_s} s, renewed every {renewed_s} s"
    return [
        Figure.of("whole log again, p50", detail, [p50 for p50, _ in cuts], "s"),
        Figure.of("whole log again, p99", detail, [p99 for _, p99 in cuts], "s", target=target_s),
        Figure.of("whole log again, the last", detail, worst, "s"),
        Figure.of("least left of the lease", lease, left, "s"),
    ]


def look_at(database_url: str) -> None:
    """Lets this process read the site's database."""
    os.environ |= {
        "DATABASE_URL": database_url,
        "MYAGENT_ENV_FILE": os.devnull,
        "SECRET_KEY": "only reads",
        "DJANGO_SETTINGS_MODULE": "myagent_site.settings",
    }
    import django

    django.setup()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--clients", type=int, default=0, help="1,000 and 4,000 by default")
    parser.add_argument("--rounds", type=int, default=0, help="3 by default")
    options = parser.parse_args(arguments)
    scale = QUICK if options.quick else FULL
    if options.clients:
        scale = replace(scale, clients=(options.clients,))
    if options.rounds:
        scale = replace(scale, rounds=options.rounds)
    try:
        allow_files(max(scale.clients))
    except TooFewFilesError as error:
        parser.error(str(error))
    load = os.getloadavg()[0]
    title = f"All clients come back at once, {options.database}, load {load:.1f} at the start"
    publish(title, measure_all(options.database, scale), options.json)


if __name__ == "__main__":
    main()
