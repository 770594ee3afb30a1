"""How many messages a minute a client may send, and a service may get."""

from __future__ import annotations

from django.conf import settings

from agents.limits.rates import Rates
from agents.ports import Refused


class MessageRates:
    """Its methods belong to the event loop."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates

    def apply_to(self, client: str) -> bool:
        """Whether any limit is set for the messages of a client, a name as in `counted_as`."""
        of_client = client and settings.MYAGENT_MESSAGES_PER_MINUTE
        return bool(of_client or settings.MYAGENT_SERVICE_MESSAGES_PER_MINUTE)

    async def take(self, client: str, service: str) -> None:
        """Counts a message, once for each limit. Raises `Refused`. Cancelling is safe."""
        limits = [("service_messages_per_minute", f"service:{service}")]
        if client:
            # The first to refuse: who is above an own limit takes nothing from others.
            limits.insert(0, ("messages_per_minute", f"client:{client}"))
        wanted = [(limit, name, _per_minute(limit)) for limit, name in limits]
        wanted = [each for each in wanted if each[2]]
        found = await self._rates.take(*((name, number) for _, name, number in wanted))
        for (limit, _, number), wait_s in zip(wanted, found, strict=False):
            if wait_s:
                raise Refused.above(limit, number, wait_s)


def _per_minute(limit: str) -> int:
    """0: any number."""
    found: int = getattr(settings, f"MYAGENT_{limit.upper()}")
    return found
