"""Leases of all_conversations, looked after whenever a test wants it."""

from __future__ import annotations

import asyncio

from agents.sessions.conversations import Conversations


async def renew(conversations: Conversations) -> None:
    """What the lease's thread does at every interval, now."""
    await conversations.lease._thread.run(conversations.lease._renew)


async def begin_anew(conversations: Conversations) -> None:
    """Has the server learn that its lease was ended; it has registered anew afterwards."""
    lost_id = conversations.lease.server_id
    await renew(conversations)
    # It tells nobody else.
    while conversations.lease.server_id == lost_id:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
