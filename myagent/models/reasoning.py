"""Assembles a model's reasoning from what a stream contains besides the text. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_TEXTS = ("reasoning_content", "reasoning")
"""Fields of a delta with the next piece of reasoning. Servers send one of them, or both equal."""

_BLOCKS = ("reasoning_details", "thinking_blocks")
"""Fields with pieces of blocks, which may be signed."""

_FIELDS = frozenset((*_TEXTS, *_BLOCKS))

_GROWING = frozenset({"text", "summary", "thinking", "signature", "data"})
"""Fields of a block that arrive in pieces."""


class ReasoningAssembly:
    """The reasoning of one reply: what people are shown, and what is sent back."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._blocks: dict[str, list[dict[str, Any]]] = {}
        self._shown_from = ""
        self._shown: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._shown or self._blocks)

    @property
    def shown(self) -> str:
        return "".join(self._shown)

    @property
    def fields(self) -> dict[str, Any]:
        """All that the server sent, under its own names."""
        return {
            **{name: "".join(pieces) for name, pieces in self._texts.items()},
            **self._blocks,
        }

    def add(self, delta: Mapping[str, Any]) -> int:
        """Takes the reasoning of a delta or a whole message; returns the number of characters."""
        content = delta.get("content")
        if not (_FIELDS & delta.keys() or isinstance(content, list)):
            return 0
        length = 0
        for name in _TEXTS:
            given = delta.get(name)
            text = given if isinstance(given, str) else "".join(thoughts_in(given))
            if text or isinstance(given, str):
                # Servers want an empty one back as well: it says that there was no reasoning.
                self._texts.setdefault(name, []).append(text)
                length += self._show(name, text)
        for name in _BLOCKS:
            given = delta.get(name)
            for piece in given if isinstance(given, list) else ():
                if isinstance(piece, Mapping):
                    length += _merge(self._blocks.setdefault(name, []), piece)
                    self._show(name, "".join(thoughts_in([piece])))
        if isinstance(content, list):
            length += self._show("content", "".join(thoughts_in(content)))
        return length

    def _show(self, name: str, text: str) -> int:
        """Shows the text from one field only, because the other fields repeat it."""
        if text and self._shown_from in ("", name):
            self._shown_from = name
            self._shown.append(text)
        return len(text)


def thoughts_in(blocks: Any) -> Iterator[str]:
    """The texts of the reasoning blocks in a list, of any kind."""
    for block in blocks if isinstance(blocks, list) else ():
        if not isinstance(block, Mapping):
            continue
        kind = str(block.get("type") or "")
        if kind == "thinking":
            thought = block.get("thinking")
            yield thought if isinstance(thought, str) else "".join(_texts_in(thought))
        elif kind.startswith("reasoning"):
            yield from (
                block[name] for name in ("text", "summary") if isinstance(block.get(name), str)
            )


def _texts_in(parts: Any) -> Iterator[str]:
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            yield part["text"]


def _merge(blocks: list[dict[str, Any]], piece: Mapping[str, Any]) -> int:
    """Adds a piece to the block that it continues, usually the last one, or as a new block.

    Returns the number of characters in it.
    """
    last = blocks[-1] if blocks else None
    if last is None or not _goes_on(last, piece):
        blocks.append(dict(piece))
    else:
        for name, value in piece.items():
            if name in _GROWING and isinstance(value, str) and isinstance(last.get(name), str):
                last[name] += value
            elif value is not None:
                last[name] = value
    return sum(len(value) for value in piece.values() if isinstance(value, str))


def _goes_on(block: Mapping[str, Any], piece: Mapping[str, Any]) -> bool:
    """Whether a piece continues the block: same kind, same index, and not after its signature."""
    is_alike = all(
        block.get(name) is None or piece.get(name) is None or block[name] == piece[name]
        for name in ("type", "index", "id")
    )
    is_signed = bool(block.get("signature")) and bool(piece.get("text") or piece.get("thinking"))
    return is_alike and not is_signed and "encrypted" not in str(piece.get("type"))
