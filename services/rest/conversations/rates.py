"""How often a client may ask something of its conversations."""

from __future__ import annotations

from collections import OrderedDict

from django.conf import settings

from agents.ports import Refused
from agents.principals import Principal
from agents.runtime.limits import TokenBucket

REMEMBERED = 10_000
"""Clients whose rates a process knows; a full bucket and a forgotten one are the same."""


class Rates:
    """The same rate as a socket's: of each principal; where nobody has one, of each session.

    A program on this machine, without a principal, may open as many sockets as it likes.
    Its methods belong to the event loop.
    """

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def count(self, principal: Principal | None, session_id: str) -> None:
        """Raises `Refused` for a request above the rate."""
        key = session_id if principal is None else f"{principal.key} "
        bucket = self._buckets.pop(key, None) or TokenBucket(
            settings.MYAGENT_MESSAGES_PER_SECOND, settings.MYAGENT_MESSAGE_BURST
        )
        self._buckets[key] = bucket
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        if not bucket.take():
            raise Refused("rate_limited")


rates = Rates()
