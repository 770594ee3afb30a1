"""Reads the items of a tool's generator or iterator, within limits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import islice
from typing import Any

from myagent.plain_json import MAX_DEPTH
from myagent.tool.base_tool import ToolResult
from myagent.tool.text import TEXT_LIMIT, text_of

MOST_ITEMS = 10_000
"""Number of items that are read of an iterator, unless `TEXT_LIMIT` bytes are reached first."""

MOST_LOOKED_AT = 1000
"""Number of values of a result that are looked at outside a thread."""

CUT = (
    "(Only the first {items} items were read: a result has {most} of them at most, and {kib} KiB.)"
)

_SIMPLE = (str, bytes, int, float, type(None))

IsWanted = Callable[[], bool]


class _TooDeepError(Exception):
    """The value is nested more deeply than JSON may be, perhaps in itself."""


@dataclass(slots=True)
class Items:
    """`is_cut`: there may have been more items. `errors`: those of results among the items."""

    values: list[Any] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    is_cut: bool = False
    _size: int = 0

    def take(self, value: Any) -> bool:
        """Adds an item that holds no iterators. False: no further item may be read."""
        if isinstance(value, ToolResult):
            text = text_of_parts(value)
            (self.errors if value.is_error else self.values).append(text)
        else:
            text = text_of(value)
            self.values.append(value)
        self._size += len(text)
        count = len(self.values) + len(self.errors)
        self.is_cut = count >= MOST_ITEMS or self._size > TEXT_LIMIT
        return not self.is_cut

    @property
    def result(self) -> str | ToolResult:
        """The items as JSON, with a note if there may have been more; a failure if one failed."""
        if not self.errors:
            return self._text
        error = "\n".join(filter(None, self.errors)) or None
        return ToolResult(success=False, error=error, output=self._text if self.values else None)

    @property
    def _text(self) -> str:
        shown = text_of(self.values)
        if not self.is_cut:
            return shown
        note = CUT.format(items=len(self.values), most=MOST_ITEMS, kib=TEXT_LIMIT // 1024)
        return f"{note}\n{shown}"


def text_of_parts(result: ToolResult) -> str:
    """What a result tells, as one text."""
    return "\n".join(filter(None, map(text_of, result.parts)))


def may_block(value: Any) -> bool:
    """Whether to read a result may take long: it holds an iterator, or too much to look at."""
    waiting, count = [value], 0
    while waiting:
        each = waiting.pop()
        if isinstance(each, _SIMPLE):
            continue
        inner = _inner(each)
        if inner is None:
            return True
        count += len(inner)
        if count > MOST_LOOKED_AT:
            return True
        waiting.extend(inner)
    return False


def _inner(value: Any) -> Collection[Any] | None:
    """The values in a value; None for an iterator, whose values aren't known."""
    if isinstance(value, dict):
        return value.values()
    if _is_row(value):
        return value  # type: ignore[no-any-return]
    if isinstance(value, Iterator):
        return None
    return _fields_of(value).values() if _is_record(value) else ()


def read_result(value: Any, is_wanted: IsWanted) -> Any:
    """The result, all iterators in it read, except asynchronous ones. May block.

    Reading stops once the result is no longer wanted. Exceptions of iterators are raised.
    """
    return read_item(value, is_wanted) if may_block(value) else value


def read_item(value: Any, is_wanted: IsWanted) -> Any:
    """The same of an item, as plain values of its own: an iterator may yield one twice."""
    if isinstance(value, ToolResult):
        return _with_parts(value, [read_result(part, is_wanted) for part in _parts(value)])
    if isinstance(value, Iterator):
        items = Items()
        _read_into(value, items.take, is_wanted, lambda item: read_item(item, is_wanted))
        return items.result
    try:
        return _plain(value, is_wanted, 0)
    except _TooDeepError:
        return value


def _plain(value: Any, is_wanted: IsWanted, depth: int) -> Any:
    if isinstance(value, _SIMPLE):
        return value
    if depth > MAX_DEPTH:
        raise _TooDeepError
    if isinstance(value, dict):
        return {key: _plain(each, is_wanted, depth + 1) for key, each in value.items()}
    if _is_row(value):
        return [_plain(each, is_wanted, depth + 1) for each in value]
    if isinstance(value, Iterator):
        items = Items()
        _read_into(value, items.take, is_wanted, lambda item: _plain(item, is_wanted, depth + 1))
        return items.values
    if _is_record(value):
        return _plain(_fields_of(value), is_wanted, depth)
    return value


def _is_row(value: Any) -> bool:
    # Other kinds of tuples have no JSON form.
    return isinstance(value, list) or type(value) is tuple


def _is_record(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type)


def _fields_of(record: Any) -> dict[str, Any]:
    """What JSON has of a dataclass."""
    names = [each.name for each in fields(record) if not each.name.startswith("_")]
    return {name: getattr(record, name) for name in names if hasattr(record, name)}


def _read_into(
    iterator: Iterator[Any],
    take: Callable[[Any], bool],
    is_wanted: IsWanted,
    plain: Callable[[Any], Any],
) -> None:
    try:
        for item in iterator:
            if not (take(plain(item)) and is_wanted()):
                break
    finally:
        if callable(close := getattr(iterator, "close", None)):
            close()


async def read_async(value: Any, read: Callable[[Any], Awaitable[Any]]) -> Any:
    """The result, its asynchronous iterators read; `read` reads an item.

    Exceptions of iterators are raised; cancelling is safe.
    """
    if isinstance(value, ToolResult):
        return _with_parts(value, [await read_async(part, read) for part in _parts(value)])
    if isinstance(value, AsyncIterator):
        return (await _items_of(value, read)).result
    return await _read_within(value, read) if _holds_async(value) else value


def _holds_async(value: Any) -> bool:
    """Whether one of the first values of a container is an asynchronous iterator."""
    waiting, count = [value], 0
    while waiting and count <= MOST_LOOKED_AT:
        each = waiting.pop()
        if isinstance(each, AsyncIterator):
            return True
        inner = () if isinstance(each, _SIMPLE) else _inner(each) or ()
        count += len(inner)
        waiting.extend(islice(inner, MOST_LOOKED_AT))
    return False


async def _read_within(value: Any, read: Callable[[Any], Awaitable[Any]], depth: int = 0) -> Any:
    if isinstance(value, AsyncIterator):
        items = await _items_of(value, read)
        return [*items.values, *items.errors]
    if depth > MAX_DEPTH:
        return value  # Perhaps nested in itself.
    if isinstance(value, dict):
        return {key: await _read_within(each, read, depth + 1) for key, each in value.items()}
    if _is_row(value):
        return [await _read_within(each, read, depth + 1) for each in value]
    return await _read_within(_fields_of(value), read, depth) if _is_record(value) else value


async def _items_of(iterator: AsyncIterator[Any], read: Callable[[Any], Awaitable[Any]]) -> Items:
    items = Items()
    try:
        async for item in iterator:
            if not items.take(await read(item)):
                break
    finally:
        if callable(close := getattr(iterator, "aclose", None)):
            await close()
    return items


def _parts(result: ToolResult) -> tuple[Any, Any, Any]:
    return result.error, result.content, result.output


def _with_parts(result: ToolResult, parts: list[Any]) -> ToolResult:
    """The result with these parts; it failed if an item of one of them did."""
    error, content, output = (_without_error(part) for part in parts)
    whole = replace(result, error=error, content=content, output=output)
    failed = [part for part in parts if isinstance(part, ToolResult)]
    if not failed:
        return whole
    told = [text_of(error), *(text_of(part.error) for part in failed)]
    return replace(whole, success=False, error="\n".join(filter(None, told)))


def _without_error(part: Any) -> Any:
    return part.output if isinstance(part, ToolResult) else part
