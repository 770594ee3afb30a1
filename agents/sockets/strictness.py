"""What one socket's frames are put up with: how many come, and how many are of no use. No I/O."""

from __future__ import annotations

from agents.runtime.limits import TokenBucket

MOST_BAD_FRAMES = 3
"""Consecutive unusable frames that close a socket."""

MOST_REFUSED_FRAMES = 100
"""Frames above the rate limit that close a socket; each frame within it makes up for one.

Not those in a row: a busy server reads so slowly that a flood has a frame within the limit now and
then.
"""


class Strictness:
    """Counts the frames of a socket; `rate` allows so many."""

    # There are thousands of sockets.
    __slots__ = ("_bad", "_refused", "rate")

    def __init__(self, rate: TokenBucket) -> None:
        self.rate = rate
        self._bad = 0
        self._refused = 0

    def is_within_rate(self) -> bool:
        """Counts a frame that has come."""
        if self.rate.take():
            self._refused = max(0, self._refused - 1)
            return True
        self._refused += 1
        return False

    @property
    def is_flooded(self) -> bool:
        """Whether too many frames were above the limit."""
        return self._refused > MOST_REFUSED_FRAMES

    def note_usable(self) -> None:
        self._bad = 0

    def bears(self, *, is_frame_error: bool) -> bool:
        """Whether a socket whose frame was of no use may stay.

        `is_frame_error`: the frame was no event at all, and not only one that makes no sense.
        """
        self._bad = self._bad + 1 if is_frame_error else 0
        return self._bad < MOST_BAD_FRAMES
