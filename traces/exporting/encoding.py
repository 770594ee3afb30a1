"""Spans as OTLP has them. No I/O.

Imported only where traces are sent: it needs the extra `otel`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from django.conf import settings
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from traces.exporting.conventions import Attribute, Sent

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

KINDS = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT}

LARGEST = 2**63


def encode(trace_id: str, spans: Sequence[Sent], resource: Mapping[str, str]) -> bytes:
    """A request with these spans. Requests that follow each other are one with the spans of all."""
    # `Resource.create` would give each its own `service.instance.id`.
    origin = Resource(dict(resource))
    scope = InstrumentationScope("myagent-site", settings.VERSION)
    readable = [_readable(int(trace_id, 16), span, origin, scope) for span in spans]
    return bytes(encode_spans(readable).SerializeToString())


def rejected(answer: bytes) -> tuple[int, str]:
    """How many spans a receiver did not take of a request that it accepted, and why.

    Raises `ValueError` if it answered something else.
    """
    try:
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
    except Exception as error:
        raise ValueError("the answer can't be read") from error
    return partial.rejected_spans, partial.error_message


def _readable(
    trace_id: int, span: Sent, resource: Resource, scope: InstrumentationScope
) -> ReadableSpan:
    parent = _context(trace_id, span.parent_id, is_remote=span.is_below_client)
    return ReadableSpan(
        _storable(span.name),
        _context(trace_id, span.span_id),
        parent,
        resource,
        {_storable(name): _attribute(value) for name, value in span.attributes.items()},
        kind=KINDS[span.kind],
        status=_status(span),
        start_time=_nanoseconds(span.started_at),
        end_time=_nanoseconds(span.ended_at),
        instrumentation_scope=scope,
    )


def _context(trace_id: int, span_id: str, *, is_remote: bool = False) -> SpanContext | None:
    if not span_id:
        return None
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(trace_id, int(span_id, 16), is_remote=is_remote, trace_flags=flags)


def _status(span: Sent) -> Status:
    if span.error is None:
        return Status(StatusCode.UNSET)
    return Status(StatusCode.ERROR, _storable(span.error) or None)


def _attribute(value: Attribute) -> Attribute:
    if isinstance(value, str):
        return _storable(value)
    is_too_large = isinstance(value, int) and not -LARGEST <= value < LARGEST
    return str(value) if is_too_large else value


def _storable(text: str) -> str:
    """Without lone surrogates, which UTF-8 does not have."""
    return text.encode("utf-8", "replace").decode()


def _nanoseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1) * 1000
