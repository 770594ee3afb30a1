"""Keeps links to workers: redials each one for as long as it is wanted."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Set
from functools import partial
from pathlib import Path
from typing import Literal

import structlog

from agents.runs.link import Link, LinkFailed, dial
from agents.runs.remote import Remote, way_to
from agents.runtime import background

logger = structlog.get_logger(__name__)

LOOK_S = 0.02
"""Seconds between two attempts to reach a worker that does not listen yet."""

AGAIN_S = 0.2
"""Seconds until a worker whose link has ended is redialled, while it is wanted.

It may break the protocol again at once.
"""

LAST_AGAIN_S = 2.0
"""The same in the end for a worker over TCP: the pause grows, as no failure of it is a matter of
milliseconds.
"""

GROWTH = 1.2

ANEW_S = 1.0
"""Seconds until a worker is redialled after an unexpected failure."""

Attend = Callable[[Link], Awaitable[None]]
"""The work on a link, from its start to its end."""


def always() -> bool:
    return True


def never() -> bool:
    return False


def nobody() -> None:
    """The default for `on_failed`: does nothing."""


class LinkKeeper:
    """The links of this process as a `role`, by instance id. Belongs to the event loop."""

    def __init__(self, role: Literal["server", "supervisor"]) -> None:
        self._role = role
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._addresses: dict[str, str] = {}

    @property
    def kept(self) -> Set[str]:
        """The instances that have a link or are being dialled."""
        return set(self._tasks)

    def keep(
        self,
        instance_id: str,
        attend: Attend,
        *,
        address: str = "",
        is_wanted: Callable[[], bool] = always,
        on_failed: Callable[[], None] = nobody,
        is_being_replaced: Callable[[], bool] = never,
    ) -> None:
        """Dials the worker until it answers, and again when its link has ended, while it is wanted.

        `address`: see `Instance`. `on_failed`: the worker listened, but no link could be opened.
        `is_being_replaced`: whether its predecessor or successor may answer at the address as well.
        A link that is already kept stays; it is redialled at the present address.
        """
        self._addresses[instance_id] = address
        present = self._tasks.get(instance_id)
        if present is not None and not present.done():
            return
        work = self._keep(instance_id, attend, is_wanted, on_failed, is_being_replaced)
        task = self._tasks[instance_id] = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(partial(self._on_done, instance_id))

    def let_go(self, instance_id: str) -> None:
        """Ends the link; the worker keeps running."""
        self._addresses.pop(instance_id, None)
        if task := self._tasks.pop(instance_id, None):
            self._ending.add(task)
            task.cancel()

    async def end(self) -> None:
        """Ends all links. May be called twice."""
        for instance_id in self.kept:
            self.let_go(instance_id)
        await background.end(self._ending)

    def _on_done(self, instance_id: str, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if self._tasks.get(instance_id) is task:
            del self._tasks[instance_id]
            self._addresses.pop(instance_id, None)
        if (error := background.failure_of(task)) is not None:
            logger.error("link_not_kept", instance_id=instance_id, exc_info=error)

    async def _keep(
        self,
        instance_id: str,
        attend: Attend,
        is_wanted: Callable[[], bool],
        on_failed: Callable[[], None],
        is_being_replaced: Callable[[], bool],
    ) -> None:
        told, pause_s = None, AGAIN_S
        while is_wanted():
            way: Path | Remote | None = None
            try:
                way = self._way_to(instance_id)
                await self._hold(instance_id, way, attend)
                told, pause_s = None, AGAIN_S
            except LinkFailed as error:
                is_early = isinstance(error.__cause__, OSError)
                if not is_early:
                    # Most likely the worker ended while it loaded its file.
                    on_failed()
                if not (is_early and isinstance(way, Path)):
                    is_expected = is_of_another_key(error) and is_being_replaced()
                    told = _tell(instance_id, error, told, is_expected=is_expected)
                pause_s = _pause_s(pause_s, way, is_early=is_early)
            except Exception:
                logger.exception("link_not_kept", instance_id=instance_id)
                pause_s = ANEW_S
            await asyncio.sleep(pause_s)

    def _way_to(self, instance_id: str) -> Path | Remote:
        return way_to(instance_id, self._addresses.get(instance_id, ""))

    async def _hold(self, instance_id: str, way: Path | Remote, attend: Attend) -> None:
        """One link, from its start to its end. Raises `LinkFailed`."""
        link = await self._dialled(way)
        try:
            if (nearer := self._way_to(instance_id)) != way and isinstance(nearer, Path):
                # A worker that has just been launched has no Unix socket yet.
                link.close()
                link = await self._dialled(nearer)
            await attend(link)
        finally:
            link.close()

    async def _dialled(self, way: Path | Remote) -> Link:
        # Loading a file may take as long as a start may: other code judges that.
        return await dial(way, f"{self._role} {os.getpid()}", role=self._role, timeout_s=None)


Line = tuple[int, str]
"""The level and the text of what is logged."""


def is_of_another_key(error: LinkFailed) -> bool:
    """Whether who answered is not the instance, or does not take this process for the site's."""
    return isinstance(error.__cause__, PermissionError)


def _tell(instance_id: str, error: LinkFailed, told: Line | None, *, is_expected: bool) -> Line:
    """Logs a failure, unless it was `told` already; returns what is told now."""
    # Of keys that do not fit people have to know; other failures may be of a moment.
    level = logging.WARNING if is_of_another_key(error) else logging.INFO
    line = (logging.DEBUG if is_expected else level), str(error)
    if line != told:
        logger.log(line[0], "not_linked", instance_id=instance_id, error=line[1])
    return line


def _pause_s(last_s: float, way: Path | Remote | None, *, is_early: bool) -> float:
    """The pause after a failure. `is_early`: nobody listened."""
    if isinstance(way, Path):
        return LOOK_S if is_early else AGAIN_S
    return min(max(AGAIN_S, last_s * GROWTH), LAST_AGAIN_S)
