"""The text of one model step, as sent so far to a reader that can only append. No I/O.

Text comes in pieces with offsets; pieces may be repeated, merged or lost. The text sent so far must
always be a prefix of the step's text; if it can't be, the reader is told to drop it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """What the reader is to do: drop the step's text, if `is_reset`, then append `text`."""

    text: str = ""
    is_reset: bool = False


NOTHING = Change()


class StepText:
    """Offsets and `length` count code points."""

    def __init__(self) -> None:
        self.length = 0
        self._told: list[str] = []

    def take(self, offset: int, text: str) -> Change:
        """The step's text holds `text` at `offset`, and ends there as far as is known."""
        if offset > self.length:
            return NOTHING  # A piece before this one is missing: `settle` makes up for it.
        if offset == self.length:
            return self._append(text)
        return self._become(self._text[:offset] + text, is_whole=False)

    def settle(self, whole: str) -> Change:
        """The step's text is `whole`, and nothing follows."""
        return self._become(whole, is_whole=True)

    def restart(self) -> Change:
        """The step begins again: its text so far does not count."""
        return self._reset() if self.length else NOTHING

    @property
    def _text(self) -> str:
        self._told = ["".join(self._told)]
        return self._told[0]

    def _become(self, real: str, *, is_whole: bool) -> Change:
        told = self._text
        if real.startswith(told):
            return self._append(real[len(told) :])
        if told.startswith(real) and not is_whole:
            return NOTHING  # A repetition that has not caught up yet.
        return self._reset(real)

    def _append(self, text: str) -> Change:
        self._told.append(text)
        self.length += len(text)
        return Change(text)

    def _reset(self, text: str = "") -> Change:
        self._told, self.length = [text], len(text)
        return Change(text, is_reset=True)
