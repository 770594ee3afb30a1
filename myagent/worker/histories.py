"""The histories that a worker was sent, so that a turn sends only what is new. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from myagent.messages import ChatMessage
from myagent.worker.protocol import Start

MAX_CHARACTERS = 32 * 1024 * 1024
"""Kept of all sessions together; those longest unused are dropped, and sent again when needed."""

MESSAGE_CHARACTERS = 200
"""What a message takes besides its text, roughly."""


@dataclass(slots=True)
class _Kept:
    """`first` is the number of the oldest message that is here."""

    generation: int
    first: int
    messages: list[ChatMessage] = field(default_factory=list)
    characters: int = 0


class Histories:
    """By session."""

    def __init__(self, max_characters: int = MAX_CHARACTERS) -> None:
        self.characters = 0
        self._max_characters = max_characters
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, start: Start) -> list[ChatMessage] | None:
        """The run's whole history, as a list of its own. None: what it builds on is not here."""
        session_id = start.key.session_id
        kept = self._kept.get(session_id)
        if start.at == start.first:
            kept = _Kept(start.generation, start.first)
        if kept is None or not _has(kept, start):
            return None
        self.drop(session_id)
        gone = kept.messages[: start.first - kept.first]
        replaced = kept.messages[start.at - kept.first :]
        kept.characters += _size(start.messages) - _size(gone) - _size(replaced)
        kept.messages[start.at - kept.first :] = start.messages
        del kept.messages[: start.first - kept.first]
        kept.first = start.first
        self._kept[session_id] = kept
        self.characters += kept.characters
        messages = list(kept.messages)
        self._trim()
        return messages

    def drop(self, session_id: str) -> None:
        kept = self._kept.pop(session_id, None)
        if kept is not None:
            self.characters -= kept.characters

    def _trim(self) -> None:
        while self.characters > self._max_characters:
            self.drop(next(iter(self._kept)))


def _has(kept: _Kept, start: Start) -> bool:
    end = kept.first + len(kept.messages)
    return kept.generation == start.generation and kept.first <= start.first <= start.at <= end


def _size(messages: Iterable[ChatMessage]) -> int:
    return sum(
        MESSAGE_CHARACTERS
        + len(message.content)
        + len(message.reasoning_json)
        + sum(len(call.arguments) for call in message.tool_calls)
        for message in messages
    )
