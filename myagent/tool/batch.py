"""Runs the tool calls of one model step concurrently and reports each as it finishes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from myagent.steps import (
    Confirm,
    ConfirmationAsked,
    OpenCall,
    ToolFinished,
    ToolStarted,
)
from myagent.tool.call import settle
from myagent.tool.containment import CANCEL_GRACE_S
from myagent.tool.toolbox import Toolbox

AT_ONCE = 64
"""Calls of one step that run at the same time; further ones wait for their turn."""

CallStep = ConfirmationAsked | ToolStarted | ToolFinished


async def run_calls(
    calls: Sequence[OpenCall], toolbox: Toolbox, confirm: Confirm
) -> AsyncGenerator[CallStep, None]:
    """Runs all calls and yields their events.

    A tool starts when the step after its `ToolStarted` is requested. A result is yielded as soon as
    it is available, independently of the other calls; of several available ones the result of the
    earliest call comes first. To stop, close the generator: the calls are cancelled and awaited,
    for a limited time. Raises what `confirm` raises.
    """
    batch = _Batch(toolbox, confirm)
    try:
        batch.start(calls)
        while (step := await batch.next_step()) is not None:
            yield step
            batch.taken(step)
    finally:
        await batch.stop()


@dataclass(slots=True, eq=False)
class _Slot:
    """Where one call is."""

    task: asyncio.Task[ToolFinished]
    is_told: bool = False


@dataclass(slots=True)
class _Announcement:
    step: ConfirmationAsked | ToolStarted
    taken: asyncio.Event = field(default_factory=asyncio.Event)


class _Batch:
    def __init__(self, toolbox: Toolbox, confirm: Confirm) -> None:
        self._toolbox = toolbox
        self._confirm = confirm
        self._slots: list[_Slot] = []
        self._announcements: deque[_Announcement] = deque()
        self._changed = asyncio.Event()
        self._turns = asyncio.Semaphore(AT_ONCE)

    def start(self, calls: Sequence[OpenCall]) -> None:
        for open_call in calls:
            task = asyncio.create_task(self._settle(open_call))
            self._slots.append(_Slot(task))
            task.add_done_callback(lambda _: self._changed.set())

    async def _settle(self, open_call: OpenCall) -> ToolFinished:
        return await settle(
            open_call,
            self._toolbox,
            confirm=self._confirm,
            announce=self._announce,
            turn=self._turns,
        )

    async def _announce(self, step: ConfirmationAsked | ToolStarted) -> None:
        announcement = _Announcement(step)
        self._announcements.append(announcement)
        self._changed.set()
        await announcement.taken.wait()

    async def next_step(self) -> CallStep | None:
        """The next step to yield, None after the last one."""
        while True:
            if self._announcements:
                return self._announcements[0].step
            if (finished := self._result()) is not None:
                return finished
            if all(slot.is_told for slot in self._slots):
                return None
            self._changed.clear()
            await self._changed.wait()

    def taken(self, step: CallStep) -> None:
        if not isinstance(step, ToolFinished):
            self._announcements.popleft().taken.set()

    def _result(self) -> ToolFinished | None:
        self._raise_failures()
        for slot in self._slots:
            if slot.task.done() and not slot.is_told:
                slot.is_told = True
                return slot.task.result()
        return None

    def _raise_failures(self) -> None:
        for slot in self._slots:
            if slot.task.done():
                slot.task.result()

    async def stop(self) -> None:
        """Cancels what still runs; waits a bounded time for it. May be called twice."""
        tasks = [slot.task for slot in self._slots]
        for task in tasks:
            task.add_done_callback(_consume)
            task.cancel()
        if any(not task.done() for task in tasks):
            await asyncio.wait(tasks, timeout=2 * CANCEL_GRACE_S)


def _consume(task: asyncio.Task[ToolFinished]) -> None:
    # The run is over, nobody is left to tell; asyncio would complain if nobody looked.
    if not task.cancelled():
        task.exception()
