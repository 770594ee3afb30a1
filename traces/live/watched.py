"""What viewers lack of traces that have changed. Synchronous reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import reduce

from agents.principals import Principal
from traces.live.looking import Present, all_messages, present
from traces.live.messages import Message
from traces.live.selection import Selection
from traces.models import Trace

Told = Mapping[str, AbstractSet[str]]
"""By trace, the ids of the messages that a viewer was told."""


@dataclass(frozen=True, slots=True)
class Wanting:
    """One viewer, as it was when somebody began to read for it."""

    selection: Selection
    principal: Principal | None
    told: Told

    def takes(self, trace: Trace) -> bool:
        return self.selection.takes(trace, self.principal, is_known=bool(self.told[trace.pk]))


@dataclass(frozen=True, slots=True)
class Watched:
    """A trace as it is now. Of messages that all viewers know, what was said may be missing."""

    trace: Trace
    messages: Sequence[Message]
    _frames: dict[tuple[str, str, int], str] = field(default_factory=dict)

    def frame(self, message: Message, lang: str, cursor: int) -> str:
        """One of its messages as JSON, which is the same for many viewers."""
        key = (message.message_id, lang, cursor)
        if (found := self._frames.get(key)) is None:
            found = message.render(
                self.trace.session_id, lang, shows_content=True, cursor=str(cursor)
            )
            self._frames[key] = found
        return found


def read_for(trace_ids: Sequence[str], viewers: Sequence[Wanting]) -> list[Watched]:
    """Those of the traces that exist and that one of the viewers takes, in this order."""
    now = present(trace_ids)
    wanted: list[Present] = []
    told: dict[str, AbstractSet[str]] = {}
    for id_ in trace_ids:
        if (found := now.get(id_)) is None:
            continue
        knowing = [each.told[id_] for each in viewers if each.takes(found.trace)]
        if knowing:
            wanted.append(found)
            told[id_] = reduce(lambda some, others: some & others, knowing)
    messages = all_messages(wanted, told)
    return [Watched(each.trace, messages[each.trace.pk]) for each in wanted]
