"""The preview of a run's current step, shown before it is in the log."""

from __future__ import annotations

import asyncio
from typing import Protocol

from myagent.worker.protocol import LinkError
from myagent.worker.text import MAX_ANSWER_BYTES, TEXT_INTERVAL_S

EARLY_S = 0.005
"""Seconds by which a frame may be early: a worker that keeps to the interval needs no timer."""

MOST_BEGINNINGS = 20
"""Maximum number of consecutive steps that are shown without one that is logged."""


class Viewers(Protocol):
    """The viewers of a run under way."""

    def show_thinking(self, step: int) -> None: ...

    def show_text(self, run_id: str, step: int, offset: int, text: str) -> None: ...


class Preview:
    """Merges text that arrives faster than one frame per `TEXT_INTERVAL_S`; the first goes at once.

    Workers do the same, but they run foreign code. `text` is all text of the step so far. Its
    methods belong to the event loop.
    """

    def __init__(self, viewers: Viewers, run_id: str, step: int) -> None:
        self.step = step
        self.text = ""
        self._viewers = viewers
        self.run_id = run_id
        self._shown = 0
        """Number of characters of the text that were shown."""
        self._beginnings = 0
        self._loop = asyncio.get_running_loop()
        self._next_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, step: int) -> None:
        """A step starts, perhaps the same one again: its text so far is dropped."""
        self._turn_to(step)
        self._beginnings += 1
        if self._beginnings <= MOST_BEGINNINGS:
            self._viewers.show_thinking(step)

    def add(self, step: int, text: str) -> None:
        """Raises `LinkError` if the step exceeds the maximum length of text."""
        if step != self.step:
            self._turn_to(step)
        if len(self.text) + len(text) > MAX_ANSWER_BYTES:
            raise LinkError(f"a step with more than {MAX_ANSWER_BYTES} characters of text")
        self.text += text
        if self._timer is not None:
            return
        if self._loop.time() >= self._next_at - EARLY_S:
            self.flush()
        else:
            self._timer = self._loop.call_at(self._next_at, self.flush)

    def flush(self) -> None:
        """Shows the text so far now, because something that must not overtake it follows."""
        self.stop()
        offset, self._shown = self._shown, len(self.text)
        if offset < self._shown:
            now = self._loop.time()
            self._next_at = min(max(now, self._next_at), now + EARLY_S) + TEXT_INTERVAL_S
            self._viewers.show_text(self.run_id, self.step, offset, self.text[offset:])

    def note_logged(self) -> None:
        """Steps are being written to the log."""
        self._beginnings = 0

    def clear(self) -> None:
        """The text is being written to the log."""
        self._turn_to(self.step)

    def stop(self) -> None:
        """Shows nothing more, unless text is added. May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn_to(self, step: int) -> None:
        self.stop()
        self.step, self.text, self._shown = step, "", 0
