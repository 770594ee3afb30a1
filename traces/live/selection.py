"""Which traces a viewer wants, of those that it may see. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.principals import Principal, may_see, may_use_service
from traces.models import Trace

MOST_NAMED = 100
"""Traces that a viewer may name."""

MAX_CURSOR = 2**63 - 1


class Unusable(Exception):
    """A parameter has no meaning; the message is its name."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Empty: all. Named are `trace_ids`, and the runs again of those in `rerun_of`.

    `since`: the cursor after which the viewer goes on; None: from now on.
    """

    service: str | None = None
    statuses: frozenset[str] = frozenset()
    trace_ids: frozenset[str] = frozenset()
    rerun_of: frozenset[str] = frozenset()
    since: int | None = None

    @classmethod
    def in_query(cls, query: Mapping[str, Sequence[str]], service: str | None) -> Selection:
        """From the parameters of an address. Raises `Unusable`."""
        statuses = frozenset(query.get("status", ()))
        if not statuses <= set(Trace.Status.values):
            raise Unusable("status")
        trace_ids = frozenset(query.get("trace_id", ()))
        if len(trace_ids) > MOST_NAMED:
            raise Unusable("trace_id")
        rerun_of = frozenset(query.get("rerun_of", ()))
        if len(rerun_of) > MOST_NAMED:
            raise Unusable("rerun_of")
        return cls(service, statuses, trace_ids, rerun_of, _cursor_in(query.get("since", ())))

    def takes(self, trace: Trace, principal: Principal | None, *, is_known: bool) -> bool:
        """Whether the viewer, who is that principal, is told of a trace as it is now.

        `is_known`: it was told of it before, and is so to the end.
        """
        return (
            (self.service is None or trace.service == self.service)
            and (is_known or not self.statuses or trace.status in self.statuses)
            and self._names(trace)
            and may_see(principal, trace.principal)
            and may_use_service(principal, trace.service)
        )

    def _names(self, trace: Trace) -> bool:
        if not (self.trace_ids or self.rerun_of):
            return True
        is_rerun = bool(trace.rerun_of) and trace.rerun_of in self.rerun_of
        return is_rerun or trace.pk in self.trace_ids


def _cursor_in(said: Sequence[str]) -> int | None:
    if not said:
        return None
    text = said[0]
    if not (text.isascii() and text.isdigit()) or int(text[:20]) > MAX_CURSOR or len(text) > 19:
        raise Unusable("since")
    return int(text)
