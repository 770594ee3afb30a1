"""Collects the spans that a tool's code makes. Imported only where the agent's file uses
OpenTelemetry and its SDK is installed.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any
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
    RunPlace,
    Scalar,
)

logger = logging.getLogger(__name__)

NS_IN_MS = 1_000_000


class Collector:
    """The spans of one tool call. They may end in any thread, and after the call has ended."""

    def __init__(self, tool_span_id: int) -> None:
        self.spans: list[InnerSpan] = []
        self._tool_span_id = tool_span_id
        self._began_ns = time.time_ns()
        self._room = MOST_ATTRIBUTE_CHARACTERS
        self._is_open = True

    def close(self) -> None:
        self._is_open = False

    def take(self, span: ReadableSpan) -> None:
        if not self._is_open or len(self.spans) >= MOST_SPANS:
            return
        found = span.get_span_context()
        assert found is not None and span.start_time is not None and span.end_time is not None
        is_error = span.status.status_code is StatusCode.ERROR
        parent_id = span.parent.span_id if span.parent is not None else self._tool_span_id
        self.spans.append(
            InnerSpan(
                trace.format_span_id(found.span_id),
                "" if parent_id == self._tool_span_id else trace.format_span_id(parent_id),
                span.name[:MOST_NAME],
                max(0.0, (span.start_time - self._began_ns) / NS_IN_MS),
                max(0.0, (span.end_time - span.start_time) / NS_IN_MS),
                "error" if is_error else "success",
                (span.status.description or "")[:MOST_ERROR] if is_error else "",
                self._attributes(span.attributes or {}),
            )
        )

    def _attributes(self, given: Mapping[str, Any]) -> dict[str, Scalar]:
        kept: dict[str, Scalar] = {}
        for name, value in islice(given.items(), MOST_ATTRIBUTES):
            kept[name[:MOST_KEY]] = kept_value = _scalar(value)
            self._room -= len(name) + len(str(kept_value))
        return kept if self._room >= 0 else {}


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
            self._collectors[span.get_span_context().span_id] = collector

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
def collecting(place: RunPlace, step_id: str) -> Iterator[list[InnerSpan]]:
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
    try:
        yield collector.spans
    finally:
        collector.close()
        # Whoever reads them finds a parent before its children.
        collector.spans.sort(key=lambda span: span.offset_ms)
        _collector.reset(before)
        context.detach(around)
