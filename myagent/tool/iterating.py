"""What a tool's generator or iterator gives, read within bounds."""

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
    """`is_cut`: there may have been more."""

    values: list[Any] = field(default_factory=list)
    is_cut: bool = False
    _size: int = 0

    def take(self, value: Any) -> bool:
        """False: nothing more is to be read."""
        self.values.append(value)
        self._size += len(text_of(value))
        self.is_cut = len(self.values) >= MOST_ITEMS or self._size > TEXT_LIMIT
        return not self.is_cut

    @property
    def text(self) -> str:
        """The items as JSON, and what there is to know besides."""
        shown = text_of(self.values)
        if not self.is_cut:
            return shown
        note = CUT.format(items=len(self.values), most=MOST_ITEMS, kib=TEXT_LIMIT // 1024)
        return f"{note}\n{shown}"


def read_result(value: Any, is_wanted: Callable[[], bool]) -> Any:
    """The result, its iterators read; an async one is left. May block.

    Nothing more is read once the result is not wanted any more. What an
    iterator raises comes out.
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
    """The items. What the iterator raises comes out; cancelling is safe."""
    items = Items()
    try:
        async for item in iterator:
            if not items.take(item):
                break
    finally:
        if callable(close := getattr(iterator, "aclose", None)):
            await close()
    return items.text
