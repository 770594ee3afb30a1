"""Merges a run's streamed text, so that it takes few frames."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from myagent.steps import Answer, TextDelta
from myagent.tool.text import clean, cut

TEXT_INTERVAL_S = 0.03
"""A run's frames of text are at least so far apart; the first goes at once."""

MAX_ANSWER_BYTES = 512 * 1024
"""UTF-8 that a client is sent of an answer: many refuse frames above 1 MiB."""


class TextFlow:
    """Merges pieces of text; `send(step, text)` is called with what has come together.

    While `is_congested` says so, text only gathers: of a step at most
    `MAX_ANSWER_BYTES`.
    """

    def __init__(self, send: Callable[[int, str], None], is_congested: Callable[[], bool]) -> None:
        self._send = send
        self._is_congested = is_congested
        self._loop = asyncio.get_running_loop()
        self._pieces: list[str] = []
        self._step = 0
        self._room = MAX_ANSWER_BYTES
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = 0.0

    def add(self, delta: TextDelta) -> None:
        if delta.step != self._step:
            self.flush()
            self._step, self._room = delta.step, MAX_ANSWER_BYTES
        text, full_length = cut(clean(delta.text), self._room)
        # What comes after a gap must not close it.
        self._room = 0 if full_length else self._room - len(text.encode())
        if not text:
            return
        self._pieces.append(text)
        if self._timer is not None:
            return
        if self._loop.time() >= self._next_at:
            self.advance()
        else:
            self._timer = self._loop.call_at(self._next_at, self.advance)

    def begin_step(self) -> None:
        """A step starts, maybe the same one again: its text has the whole room."""
        self.flush()
        self._room = MAX_ANSWER_BYTES

    def advance(self) -> None:
        """Sends what there is, unless nobody takes it at the moment."""
        self._drop_timer()
        if not self._is_congested():
            self.flush()

    def flush(self) -> None:
        """Sends what there is: something that must not overtake it follows."""
        self._drop_timer()
        if not self._pieces:
            return
        self._next_at = self._loop.time() + TEXT_INTERVAL_S
        text, self._pieces = "".join(self._pieces), []
        self._send(self._step, text)

    def stop(self) -> None:
        """Nothing is sent any more."""
        self._drop_timer()
        self._pieces = []

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def as_far_as_it_fits(answer: Answer) -> Answer:
    text, full_length = cut(answer.text, MAX_ANSWER_BYTES)
    return replace(answer, text=text, full_length=full_length) if full_length else answer
