"""How often a client may ask something of its conversations, and search them."""

from __future__ import annotations

import math

from django.conf import settings

from agents.ports import Refused
from agents.principals import Principal
from agents.runtime.limits import Buckets


class Rates:
    """The same rate as a socket's: of each principal; where nobody has one, of each session.

    A program on this machine, without a principal, may open as many sockets as it likes.
    Its methods belong to the event loop.
    """

    def __init__(self) -> None:
        self._buckets = Buckets()

    def count(self, principal: Principal | None, session_id: str) -> None:
        """Raises `Refused` for a request above the rate."""
        key = session_id if principal is None else f"{principal.key} "
        wait_s = self._buckets.take(
            key, settings.MYAGENT_MESSAGES_PER_SECOND, settings.MYAGENT_MESSAGE_BURST
        )
        if wait_s:
            raise Refused(
                "rate_limited", limit="messages_per_second", retry_after_s=math.ceil(wait_s)
            )


class Searches:
    """Searches a minute of one client in this process, named as `agents.ports.Asker` says.

    `count` may be called from several threads.
    """

    def __init__(self) -> None:
        self._buckets = Buckets()

    def count(self, client: str) -> None:
        """Raises `Refused` for a search above the rate."""
        per_minute: int = settings.MYAGENT_SEARCHES_PER_MINUTE
        if not (client and per_minute):
            return
        if wait_s := self._buckets.take(client, per_minute / 60, per_minute):
            raise Refused.above("searches_per_minute", per_minute, math.ceil(wait_s))


rates = Rates()

searches = Searches()
