"""Reads finished traces as requests of OTLP. Synchronous."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure

from myagent import span_ids
from traces.exporting import conventions, destination
from traces.models import Span, Trace
from traces.reading.contents import Contents, contents_of
from traces.reading.describing import spans_of

Encode = Callable[[str, Sequence[conventions.Sent], Mapping[str, str]], bytes]

logger = structlog.get_logger(__name__)

MOST_BYTES = 4 * 1024 * 1024
"""Of one trace with its texts: receivers take some 4 to 20 MB. A larger one goes without them."""

MOST_SPANS = 10_000
"""Of one trace; later ones are left out."""


def request_of(trace_id: str) -> bytes:
    """A finished trace as a request of OTLP.

    Empty for one that was removed, or can't be read: then the log says it. Raises
    `django.db.Error`, and `ImportError` without the extra `otel`.
    """
    from traces.exporting.encoding import encode

    trace = Trace.objects.filter(pk=trace_id).first()
    if trace is None:
        return b""
    try:
        return _encoded(trace, encode)
    except DatabaseFailure:
        raise
    except Exception:
        # The operator's hook raised, or something in it has no such form.
        logger.exception("trace_not_sent", trace_id=trace_id)
        return b""


def _encoded(trace: Trace, encode: Encode) -> bytes:
    spans = list(spans_of(trace)[:MOST_SPANS])
    trace_id = span_ids.trace_id(trace.pk, trace.traceparent)
    request = b""
    for contents in _with_and_without(trace, spans):
        sent = conventions.spans_of(trace, spans, contents, settings.MYAGENT_CURRENCY)
        request = encode(trace_id, sent, _resource(trace))
        if len(request) <= MOST_BYTES:
            break
    return request


def _with_and_without(trace: Trace, spans: Sequence[Span]) -> Iterator[dict[str, Contents]]:
    yield contents_of(trace, spans)
    yield {}


def _resource(trace: Trace) -> dict[str, str]:
    given = destination.resource_attributes()
    name = settings.OTEL_SERVICE_NAME or given.get("service.name") or trace.service
    return given | {
        "service.name": name or "myagent-site",
        "service.version": given.get("service.version", settings.VERSION),
    }
