"""Where those who left had been: how far each conversation was told when its reader went."""

from __future__ import annotations

from collections import OrderedDict

MOST_BOOKMARKS = 10_000


class Bookmarks:
    """The newest ones are kept. A memory of this process: a reader may know better itself."""

    def __init__(self) -> None:
        self._seqs: OrderedDict[str, int] = OrderedDict()

    def keep(self, session_id: str, seq: int) -> None:
        """A reader left a conversation whose turns it has up to `seq`."""
        self._seqs[session_id] = seq
        self._seqs.move_to_end(session_id)
        if len(self._seqs) > MOST_BOOKMARKS:
            self._seqs.popitem(last=False)

    def of(self, session_id: str) -> int | None:
        return self._seqs.get(session_id)
