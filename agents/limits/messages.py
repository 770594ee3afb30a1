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
        """Counts a message. Raises `Refused`. Cancelling is safe."""
        if client:
            await self._take("messages_per_minute", f"client:{client}")
        await self._take("service_messages_per_minute", f"service:{service}")

    async def _take(self, limit: str, name: str) -> None:
        per_minute: int = getattr(settings, f"MYAGENT_{limit.upper()}")
        if not per_minute:
            return
        if wait_s := await self._rates.take(name, per_minute):
            raise Refused.above(limit, per_minute, wait_s)
