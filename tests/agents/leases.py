"""Leases of hubs, looked after whenever a test wants it."""

from __future__ import annotations

import asyncio

from agents.sessions.hub import Hub


async def renew(hub: Hub) -> None:
    """What the lease's thread does at every interval, now."""
    await hub.lease._thread.run(hub.lease._renew)


async def begin_anew(hub: Hub) -> None:
    """Has the hub learn that its lease was ended; it has registered anew afterwards."""
    lost_id = hub.lease.server_id
    await renew(hub)
    # It tells nobody else.
    while hub.lease.server_id == lost_id:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
