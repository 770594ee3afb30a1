"""Reads the items of a tool's generator or iterator, within limits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from myagent.tool.base_tool import ToolResult
from myagent.tool.text import MOST_ITEMS, TEXT_LIMIT, text_of

CUT = (
    "(Only the first {items} items were read: a result has {most} of them at most, and {kib} KiB.)"
)


@dataclass(slots=True)
class Items:
    """`is_cut`: there may have been more items."""

    values: list[Any] = field(default_factory=list)
    is_cut: bool = False
    _size: int = 0

    def take(self, value: Any) -> bool:
        """False: no further item may be read."""
        self.values.append(value)
        self._size += len(text_of(value))
        self.is_cut = len(self.values) >= MOST_ITEMS or self._size > TEXT_LIMIT
        return not self.is_cut

    @property
    def text(self) -> str:
        """The items as JSON, with a note if there may have been more."""
        shown = text_of(self.values)
        if not self.is_cut:
            return shown
        note = CUT.format(items=len(self.values), most=MOST_ITEMS, kib=TEXT_LIMIT // 1024)
        return f"{note}\n{shown}"


def read_result(value: Any, is_wanted: Callable[[], bool]) -> Any:
    """The result, with its iterators read, except asynchronous ones. May block.

    Reading stops once the result is no longer wanted. Exceptions of the iterator are raised.
    """
    if isinstance(value, Iterator):
        return _read(value, is_wanted)
    if isinstance(value, ToolResult):
        parts = {"output": value.output, "content": value.content}
        read = {name: read_result(part, is_wanted) for name, part in parts.items()}
        return replace(value, **read)
    return value


def _read(iterator: Iterator[Any], is_wanted: Callable[[], bool]) -> str:
    items = Items()
    try:
        for item in iterator:
            if not (items.take(item) and is_wanted()):
                break
    finally:
        if callable(close := getattr(iterator, "close", None)):
            close()
    return items.text


async def read_async(iterator: AsyncIterator[Any]) -> str:
    """The items. Exceptions of the iterator are raised; cancelling is safe."""
    items = Items()
    try:
        async for item in iterator:
            if not items.take(item):
                break
    finally:
        if callable(close := getattr(iterator, "aclose", None)):
            await close()
    return items.text
