"""Tells another thread whether the event loop makes progress."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class LoopEnded(Exception):
    """There is no event loop any more."""


class Pulse(Generic[T]):
    """Create it on the loop. `prepare` is called there at every beat.

    `moved_at`: when the loop moved last, by `time.monotonic`; `prepared`: what
    `prepare` returned last.
    """

    def __init__(self, prepare: Callable[[], T]) -> None:
        self._loop = asyncio.get_running_loop()
        self._prepare = prepare
        self._has_answered = threading.Event()
        self._has_answered.set()
        self.moved_at = time.monotonic()
        self.prepared = prepare()

    def ask(self, patience_s: float) -> None:
        """Asks for a beat, from another thread, and waits for it that long at most.

        Raises `LoopEnded`.
        """
        # A loop that hangs is asked only once: requests would pile up.
        if self._has_answered.is_set():
            self._has_answered.clear()
            self.tell(self._beat)
        self._has_answered.wait(patience_s)

    def tell(self, function: Callable[..., object], *args: Any) -> None:
        """Calls a function on the loop, from another thread. Raises `LoopEnded`."""
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError as error:
            raise LoopEnded from error

    def _beat(self) -> None:
        self.moved_at = time.monotonic()
        try:
            self.prepared = self._prepare()
        finally:
            self._has_answered.set()
