"""How late the worker's event loop is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LAG_SAMPLE_S = 0.5


async def watch_lag(note: Callable[[float], None]) -> None:
    """Notes, for ever, how many milliseconds later than asked the loop came back."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(LAG_SAMPLE_S)
        note(max(0.0, (time.perf_counter() - began - LAG_SAMPLE_S) * 1000))
