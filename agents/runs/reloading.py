"""`--reload`: a worker with the changed file takes the place of the present one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from watchfiles import Change, PythonFilter, awatch

from myagent import agent_env


class _Watched(PythonFilter):
    """Python files, and files with the environment of one: an agent file's is beside it."""

    def __call__(self, change: Change, path: str) -> bool:
        return Path(path).name == agent_env.NAME or super().__call__(change, path)


class Changes:
    """Of the Python and `.env` files in a folder, and below it, from `watch` on."""

    def __init__(self, folder: Path) -> None:
        self._found = awatch(folder, watch_filter=_Watched(), debounce=200)
        self._next: asyncio.Task[object] | None = None

    async def watch(self) -> None:
        """Returns when nothing is missed any more. Raises `OSError`."""
        first = self._next = asyncio.get_running_loop().create_task(self._change())
        # Its first step sees to that, and the second waits for a change.
        await asyncio.sleep(0)
        if first.done():
            first.result()

    async def _change(self) -> object:
        return await anext(self._found)

    async def __aiter__(self) -> AsyncIterator[None]:
        """Yields whenever something has changed. Cancelling is safe, and ends the watching."""
        assert self._next is not None
        await self._next
        yield
        async for _ in self._found:
            yield
