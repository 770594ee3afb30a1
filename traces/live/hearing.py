"""Hears on the event loop what the recorder of this process has written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from traces.recording.refreshing import recorder


@contextmanager
def woken(wake: asyncio.Event) -> Iterator[None]:
    """Within the context, sets the event whenever something was committed."""
    present, loop = recorder(), asyncio.get_running_loop()
    if present is None:
        yield
        return

    def listen() -> None:
        """In the journal's thread, which may outlive the loop."""
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(wake.set)

    present.listeners.append(listen)
    try:
        yield
    finally:
        present.listeners.remove(listen)
