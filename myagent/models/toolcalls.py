"""Tool calls put together from the pieces that a stream brings. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from myagent import exact_json
from myagent.messages import ToolCall
from myagent.models.base import ModelError

MAX_CALLS = 128
"""The most calls taken from one reply."""


@dataclass(slots=True)
class _Draft:
    index: int | None
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class CallAssembly:
    """The calls of one reply, in the order in which they began.

    Servers differ: some leave `index` out, give every call the index 0, send
    calls whole, repeat the name in each piece or change the id with each.
    """

    def __init__(self) -> None:
        self._drafts: list[_Draft] = []

    def add(self, pieces: list[dict[str, Any]]) -> int:
        """Takes a delta's pieces; gives the number of characters in their arguments."""
        length = 0
        for piece in pieces:
            function = piece.get("function") or {}
            name, arguments = function.get("name") or "", _text(function.get("arguments"))
            draft = self._draft_for(piece.get("index"), piece.get("id") or "", name)
            draft.id = draft.id or piece.get("id") or ""
            draft.name = draft.name or name
            draft.arguments.append(arguments)
            length += len(arguments) + len(name)
        return length

    def _draft_for(self, index: int | None, id: str, name: str) -> _Draft:
        draft = self._of_index(index, id, name) if index is not None else self._of_id(id, name)
        if draft is None:
            if len(self._drafts) == MAX_CALLS:
                raise ModelError("The model called too many tools at once.", is_retryable=True)
            draft = _Draft(index)
            self._drafts.append(draft)
        return draft

    def _of_index(self, index: int, id: str, name: str) -> _Draft | None:
        """The call that goes on at this index.

        A new id alone starts no other call: there are servers that make one up
        for each piece. A new id with a name does.
        """
        draft = next((each for each in reversed(self._drafts) if each.index == index), None)
        if draft is not None and draft.id and id and name and draft.id != id:
            return None
        return draft

    def _of_id(self, id: str, name: str) -> _Draft | None:
        """The call that a piece without an index goes on with; a name starts another."""
        last = self._drafts[-1] if self._drafts and not name else None
        return next((each for each in self._drafts if id and each.id == id), last)

    def finish(self) -> tuple[ToolCall, ...]:
        """The calls, each with an id of its own. Raises `ModelError` for one without a name."""
        calls: dict[str, ToolCall] = {}
        for draft in self._drafts:
            arguments = "".join(draft.arguments)
            if not draft.name:
                raise ModelError("The model called a tool without a name.", is_retryable=True)
            id = draft.id if draft.id and draft.id not in calls else f"call_{uuid4().hex[:16]}"
            calls[id] = ToolCall(id, draft.name, arguments if arguments.strip() else "{}")
        return tuple(calls.values())


def _text(arguments: Any) -> str:
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else exact_json.dumps(arguments)
