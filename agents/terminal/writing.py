"""An answer while it is written: final blocks are printed once, only the rest is redrawn."""

from __future__ import annotations

import re
from dataclasses import dataclass

FENCE = re.compile(r"^ {0,3}(```+|~~~+)")


def settled_length(text: str) -> int:
    """The length of a Markdown text's final part: whole blocks that another block follows.

    It ends after a blank line, outside of fenced code, before a line that is not indented: indented
    lines may belong to the list item before them.
    """
    fence, cut, at, is_blank = "", 0, 0, False
    for line in text.splitlines(keepends=True):
        if not fence and is_blank and line[:1].strip():
            cut = at
        if mark := FENCE.match(line):
            if not fence:
                fence = mark[1]
            elif mark[1].startswith(fence):
                fence = ""
        is_blank = not line.strip()
        at += len(line)
    return cut


@dataclass(frozen=True)
class Change:
    """`restarts`: what was printed no longer counts. `block` is to be printed, `rest` redrawn."""

    block: str
    rest: str
    restarts: bool = False


class Writing:
    """The text of one step after the other, as it grows."""

    def __init__(self) -> None:
        self._step: object = None
        self._printed = ""

    def grow(self, step: object, text: str) -> Change:
        """The step's text is now this."""
        if step != self._step:
            self._step, self._printed = step, ""
        restarts = self._restarts(text)
        if self._printed.startswith(text):
            # It is written again from its start, and may become equal to what was printed.
            return Change("", "", restarts)
        end = max(settled_length(text), len(self._printed))
        block, self._printed = text[len(self._printed) : end], text[:end]
        return Change(block, text[end:], restarts)

    def finish(self, text: str) -> Change:
        """The step's text is this, for good."""
        restarts = self._restarts(text) or len(self._printed) > len(text)
        block = text if restarts else text[len(self._printed) :]
        self._step, self._printed = None, ""
        return Change(block, "", restarts)

    def stop(self, rest: str, text: str) -> Change:
        """The step's text ends here: after the `rest`, which is not printed, or as all of `text`.

        `text` counts where it goes on from what is shown.
        """
        shown = self._printed + rest
        return self.finish(text if text.startswith(shown) else shown)

    def _restarts(self, text: str) -> bool:
        common = min(len(text), len(self._printed))
        if text[:common] == self._printed[:common]:
            return False
        self._printed = ""
        return True
