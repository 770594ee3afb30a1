"""Collects the spans that a tool's code makes. Imported only where the agent's file uses
OpenTelemetry and its SDK is installed.
"""

from __future__ import annotations

import heapq
import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any, NamedTuple
from weakref import WeakSet, WeakValueDictionary

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags

from myagent import span_ids
from myagent.inner_spans import (
    MOST_ATTRIBUTE_CHARACTERS,
    MOST_ATTRIBUTES,
    MOST_ERROR,
    MOST_KEY,
    MOST_NAME,
    MOST_SPANS,
    MOST_VALUE,
    InnerSpan,
    InnerSpans,
    RunPlace,
    Scalar,
)

logger = logging.getLogger(__name__)

NS_IN_MS = 1_000_000


class Kept(NamedTuple):
    """In the order in which they give way: the innermost first, of those the last to end."""

    minus_depth: int
    minus_number: int
    span: InnerSpan
    size: int


class Collector:
    """The spans of one tool call. They may begin and end in any thread, and after the call has
    ended.
    """

    def __init__(self, tool_span_id: int) -> None:
        self._tool_span_id = tool_span_id
        self._began_ns = time.time_ns()
        self._room = MOST_ATTRIBUTE_CHARACTERS
        self._is_open = True
        self._ended = 0
        self._kept: list[Kept] = []
        # Of those that are open, by their ids.
        self._depths: dict[int, int] = {}
        # What is removed from memory meanwhile, in the same thread, may end a span as well.
        self._lock = threading.RLock()

    def close(self, found: InnerSpans) -> None:
        """No span is taken any more; `found` is given those that are kept."""
        with self._lock:
            self._is_open = False
            # Whoever reads them finds a parent before its children.
            found.kept = sorted((each.span for each in self._kept), key=lambda it: it.offset_ms)
            found.left_out = self._ended - len(self._kept)

    def begin(self, span_id: int, parent_id: int | None) -> None:
        with self._lock:
            # Below one that has ended, or is not ours, it hangs below the tool.
            above = 0 if parent_id is None else self._depths.get(parent_id, 0)
            self._depths[span_id] = above + 1

    def take(self, span: ReadableSpan) -> None:
        found = span.get_span_context()
        assert found is not None
        with self._lock:
            depth = self._depths.pop(found.span_id, 1)
            if not self._is_open:
                return
            self._ended += 1
            if len(self._kept) >= MOST_SPANS and -self._kept[0].minus_depth <= depth:
                return
            attributes, size = self._fitting(span.attributes or {})
            told = self._told(span, found.span_id, attributes)
            heapq.heappush(self._kept, Kept(-depth, -self._ended, told, size))
            while len(self._kept) > MOST_SPANS:
                self._room += heapq.heappop(self._kept).size

    def _told(self, span: ReadableSpan, span_id: int, attributes: dict[str, Scalar]) -> InnerSpan:
        assert span.start_time is not None and span.end_time is not None
        is_error = span.status.status_code is StatusCode.ERROR
        parent_id = span.parent.span_id if span.parent is not None else self._tool_span_id
        return InnerSpan(
            trace.format_span_id(span_id),
            "" if parent_id == self._tool_span_id else trace.format_span_id(parent_id),
            span.name[:MOST_NAME],
            max(0.0, (span.start_time - self._began_ns) / NS_IN_MS),
            max(0.0, (span.end_time - span.start_time) / NS_IN_MS),
            "error" if is_error else "success",
            (span.status.description or "")[:MOST_ERROR] if is_error else "",
            attributes,
        )

    def _fitting(self, given: Mapping[str, Any]) -> tuple[dict[str, Scalar], int]:
        """What there is room for, which it takes, and its size in characters."""
        first = islice(given.items(), MOST_ATTRIBUTES)
        kept = {name[:MOST_KEY]: _scalar(value) for name, value in first}
        size = sum(len(name) + len(str(value)) for name, value in kept.items())
        if size > self._room:
            return {}, 0
        self._room -= size
        return kept, size


def _scalar(value: Any) -> Scalar:
    """OpenTelemetry's values are scalars and lists of scalars."""
    if isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text[:MOST_VALUE]


_collector: ContextVar[Collector | None] = ContextVar("collector", default=None)


class Listener(SpanProcessor):
    """Hands each span to the collector in whose tool call it began."""

    def __init__(self) -> None:
        # A span that never ends must not keep its collector.
        self._collectors: WeakValueDictionary[int, Collector] = WeakValueDictionary()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        collector = _collector.get()
        if collector is not None:
            span_id = span.get_span_context().span_id
            self._collectors[span_id] = collector
            collector.begin(span_id, None if span.parent is None else span.parent.span_id)

    def on_end(self, span: ReadableSpan) -> None:
        found = span.get_span_context()
        collector = None if found is None else self._collectors.pop(found.span_id, None)
        if collector is None:
            return
        try:
            collector.take(span)
        except Exception:
            # Or it would be raised in the tool.
            logger.exception("span_not_collected")


_listened_to: WeakSet[TracerProvider] = WeakSet()


def is_listening() -> bool:
    """Listens to the agent's own provider, or sets one up; False if it has one of another kind."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    if not isinstance(provider, TracerProvider):
        return False
    if provider not in _listened_to:
        _listened_to.add(provider)
        provider.add_span_processor(Listener())
    return True


@contextmanager
def collecting(place: RunPlace, step_id: str) -> Iterator[InnerSpans]:
    """See `span_collection.collecting`."""
    tool = SpanContext(
        int(span_ids.trace_id(place.run_id, place.traceparent), 16),
        int(span_ids.tool_id(place.run_id, step_id, place.attempt), 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    collector = Collector(tool.span_id)
    around = context.attach(trace.set_span_in_context(NonRecordingSpan(tool)))
    before = _collector.set(collector)
    found = InnerSpans()
    try:
        yield found
    finally:
        collector.close(found)
        _collector.reset(before)
        context.detach(around)
