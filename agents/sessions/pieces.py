"""Partial text on its way from a session's owner to a follower. No I/O.

It may overtake the log, come late, or be lost: it is a preview. So each piece says how far the log
had got when it was shown; what fits no more is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from agents.log.entry import Logged
from myagent.protocol import TERMINAL_EVENTS

MOST_HELD = 100
"""Pieces that wait for the log. Further ones are lost."""

MOST_CHARACTERS = 512 * 1024
"""Characters of one step that are kept."""

CLEARING = frozenset({*TERMINAL_EVENTS, "agent.thinking"})
"""The entries that hold the text of a step, or end its run."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text from `offset` of a step, shown when the log ended at `seq`.

    `text` is None where the step only starts; then there is no `run_id`. With a `notice`, the code
    of one, it is no text at all.
    """

    seq: int
    run_id: str
    step: int
    offset: int
    text: str | None
    notice: str = ""

    def follows(self, other: Piece) -> bool:
        """Whether it continues the text of the other one."""
        if self.text is None or other.text is None:
            return False
        same = (self.run_id, self.step) == (other.run_id, other.step)
        return same and self.offset == other.offset + len(other.text)


class RemoteText:
    """The text of the step that another server's run is writing, as far as it has come here."""

    def __init__(self) -> None:
        self.run_id = ""
        self.step = 0
        self.text = ""
        self._held: deque[Piece] = deque(maxlen=MOST_HELD)
        self._cleared_seq = 0

    def hear(self, piece: Piece) -> None:
        self._held.append(piece)

    def note(self, logged: Logged) -> None:
        """The log's next entry has been shown."""
        if logged.event in CLEARING:
            self._cleared_seq = logged.seq
            self.run_id, self.step, self.text = "", 0, ""

    @property
    def is_behind(self) -> bool:
        """Whether pieces wait for the log."""
        return bool(self._held)

    def ready(self, last_seq: int) -> Iterator[Piece]:
        """The pieces that may be shown where the log ends at `last_seq`. Exhaust the iterator."""
        while self._held and self._held[0].seq <= last_seq:
            piece = self._held.popleft()
            if piece.seq >= self._cleared_seq and self._takes(piece):
                yield piece

    def _takes(self, piece: Piece) -> bool:
        if piece.notice:
            return True
        if piece.text is None:
            self.run_id, self.step, self.text = "", piece.step, ""
            return True
        if (piece.run_id, piece.step) != (self.run_id, self.step):
            self.run_id, self.step, self.text = piece.run_id, piece.step, ""
        end = piece.offset + len(piece.text)
        if piece.offset > len(self.text) or end > MOST_CHARACTERS:
            return False
        self.text = self.text[: piece.offset] + piece.text
        return True
