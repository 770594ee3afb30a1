"""Assembles tool calls from the pieces of a stream. No I/O.

Servers differ: some omit `index` or `id`, give every call the index 0, increment the index with
each piece, generate a new id for each piece, repeat the name, send whole calls, or repeat them at
the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import uuid4

from myagent import exact_json, fast_json
from myagent.messages import NAMELESS, ToolCall
from myagent.models.base import ModelError

MAX_CALLS = 128
"""The most calls taken from one reply."""

MAX_READ_AGAIN = 32 * 1024 * 1024
"""Characters of arguments that are parsed only to find out whether they are complete."""

MAX_STARTS = 8
"""Number of pieces at either end at which the arguments may start again."""


class Piece(NamedTuple):
    """A part of a call, with the fields that identify the call."""

    place: int | None
    id: str
    name: str
    arguments: str
    extra: dict[str, Any] | None = None
    """Data that the server wants back with the call, in its own format."""

    @property
    def begins(self) -> bool:
        """Whether its arguments may be the start of a JSON object."""
        return self.arguments.lstrip()[:1] in ("{", "[")


@dataclass(slots=True, eq=False)
class Draft:
    index: int | None
    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    def add(self, piece: Piece) -> None:
        self.id = self.id or piece.id
        self.name = self.name or piece.name
        if piece.arguments:
            self.pieces.append(piece.arguments)
            self.length += len(piece.arguments)
        if piece.extra:
            self.extra.update(piece.extra)


class CallAssembly:
    """The calls of one reply, in the order in which they started.

    A piece belongs to the call with its id, or else its name, or else its index, or else to the
    last call. A different name starts another call, and so do arguments that start after complete
    ones.
    """

    def __init__(self) -> None:
        self._drafts: list[Draft] = []
        self._budget = MAX_READ_AGAIN

    def __bool__(self) -> bool:
        return bool(self._drafts)

    def add(self, pieces: Sequence[dict[str, Any]]) -> int:
        """Takes a delta's pieces; returns the number of characters in them."""
        read = [_read(piece) for piece in pieces]
        if len(read) > 1 and self._has_all(read):
            return 0
        length = 0
        for piece in read:
            self._draft_for(piece).add(piece)
            length += len(piece.arguments) + len(piece.name)
        return length

    def finish(self) -> tuple[ToolCall, ...]:
        """The calls, each with a unique id; a call without a name belongs to no tool."""
        calls: dict[str, ToolCall] = {}
        for draft in self._told():
            id = draft.id if draft.id and draft.id not in calls else f"call_{uuid4().hex[:16]}"
            calls[id] = ToolCall(
                id, draft.name if draft.name.strip() else NAMELESS, joined(draft.pieces)
            )
        return tuple(calls.values())

    def extras(self) -> list[dict[str, Any]]:
        """The data that the server wants back with each call of `finish`."""
        return [draft.extra for draft in self._told()]

    def _told(self) -> Iterable[Draft]:
        """Without calls that have neither a name nor arguments, if there are others."""
        told = [draft for draft in self._drafts if draft.name or draft.pieces]
        return told or self._drafts

    def _draft_for(self, piece: Piece) -> Draft:
        draft = self._target(piece)
        if draft is None or self._begins_another(piece, draft):
            if len(self._drafts) == MAX_CALLS:
                raise ModelError("The model called too many tools at once.", is_retryable=True)
            draft = Draft(piece.place)
            self._drafts.append(draft)
        return draft

    def _target(self, piece: Piece) -> Draft | None:
        """The call that the piece continues, unless it starts a new one."""
        if not self._drafts:
            return None
        newest_first = self._drafts[::-1]
        if piece.id:
            for draft in newest_first:
                if draft.id == piece.id:
                    return draft
        for draft in newest_first:
            if piece.place is None:
                if piece.name and draft.name == piece.name:
                    return draft
            elif draft.index == piece.place:
                return draft
        return newest_first[0]

    def _begins_another(self, piece: Piece, draft: Draft) -> bool:
        if not piece.name:
            # An id or an index alone starts no call: some servers increment them with each piece.
            is_new = bool(piece.id) and piece.id != draft.id and piece.place != draft.index
            return is_new and bool(draft.id) and not piece.arguments and self._is_whole(draft)
        if not draft.name:
            return bool(draft.id and piece.id and draft.id != piece.id)
        if piece.name != draft.name:
            return True
        is_elsewhere = _differ(piece.id, draft.id) or _differ(piece.place, draft.index)
        if is_elsewhere:
            return piece.begins or not piece.arguments or not self._is_under_way(draft)
        if piece.id and piece.id == draft.id:
            return False
        return (
            piece.begins
            and self._is_whole(draft)
            and joined([piece.arguments]) != joined(draft.pieces)
        )

    def _is_under_way(self, draft: Draft) -> bool:
        return bool(draft.pieces) and not self._is_whole(draft)

    def _is_whole(self, draft: Draft) -> bool:
        """Whether its arguments are complete; an empty object may still be replaced."""
        last = draft.pieces[-1].rstrip()[-1:] if draft.pieces else ""
        if last not in ("}", "]") or draft.length > self._budget:
            return False
        self._budget -= draft.length
        return bool(_parsed(joined(draft.pieces)))

    def _has_all(self, pieces: Sequence[Piece]) -> bool:
        """Whether several complete calls are repeated."""
        return len(pieces) == len(self._drafts) > 1 and all(
            piece.name == draft.name
            and len(piece.arguments) == draft.length
            and piece.arguments == "".join(draft.pieces)
            for piece, draft in zip(pieces, self._drafts, strict=True)
        )


def joined(pieces: Sequence[str]) -> str:
    """The arguments that the pieces form.

    Usually all pieces joined. If that is not a JSON object, either a first or last `{}` or `null`
    was a placeholder, or the arguments were repeated as a whole: then the longest tail that is an
    object counts, if there is one.
    """
    text = "".join(pieces)
    if not text.strip() or text.strip() == "null":
        return "{}"
    if len(pieces) < 2 or _parsed(text) is not None:
        return text
    meant = _without_empty_end(pieces)
    if len(meant) < len(pieces) and _parsed(told := joined(meant)):
        return told
    starts = [at for at in range(1, len(pieces)) if pieces[at].lstrip().startswith("{")]
    for at in [*starts[:MAX_STARTS], *starts[MAX_STARTS:][-MAX_STARTS:]]:
        end = "".join(pieces[at:])
        if _parsed(end) is not None:
            return end
    return text


def _without_empty_end(pieces: Sequence[str]) -> Sequence[str]:
    end = len(pieces)
    least = max(1, end - MAX_STARTS)
    while end > least and pieces[end - 1].strip() in ("", "{}", "null"):
        end -= 1
    # At the limit nothing is left out, so that this is never done again and again.
    return pieces[:end] if end > least or least == 1 else pieces


def _parsed(text: str) -> dict[str, Any] | list[Any] | None:
    try:
        value = fast_json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None


def _differ(one: object, other: object) -> bool:
    """Whether both are known and differ."""
    return one not in (None, "") and other not in (None, "") and one != other


def _read(piece: dict[str, Any]) -> Piece:
    function = piece.get("function") or {}
    index, id, extra = piece.get("index"), piece.get("id"), piece.get("extra_content")
    return Piece(
        place=_place(index),
        id=str(id) if id else "",
        name=str(function.get("name") or ""),
        arguments=_text(function.get("arguments")),
        extra={"extra_content": extra} if extra else None,
    )


def _place(index: Any) -> int | None:
    if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < 10:
        return int(index)
    return index if isinstance(index, int) else None


def _text(arguments: Any) -> str:
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else exact_json.dumps(arguments)
