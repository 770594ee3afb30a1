"""`--reload`: a worker with the changed file takes the place of the present one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from watchfiles import PythonFilter, awatch


async def changes(folder: Path) -> AsyncIterator[None]:
    """Yields whenever a Python file in the agent file's folder has changed. Cancelling is safe."""
    async for _ in awatch(folder, watch_filter=PythonFilter(), debounce=200):
        yield
