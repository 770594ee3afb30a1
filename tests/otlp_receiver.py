"""A receiver of OTLP over HTTP, as Jaeger or Langfuse are: what it was sent is in `requests`."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.ports import free_port

PATIENCE_S = 40.0


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """`parent_id` is '' for the top of a trace. `error`: None unless its status is an error."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    error: str | None
    resource: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    headers: dict[str, str]
    spans: list[ReceivedSpan]


@dataclass
class Receiver:
    """`statuses`: what it answers, one after another, before it accepts everything, with
    `retry_after` if that is not empty. `asked`: how many requests came.
    """

    port: int
    requests: list[Request] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    retry_after: str = ""
    asked: int = 0
    refuses: set[str] = field(default_factory=set)
    """Names of spans that it answers with 400."""
    arrived: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def accepted(self) -> list[ReceivedSpan]:
        return [span for request in self.requests for span in request.spans]

    def wait_for(self, name: str, count: int = 1) -> list[ReceivedSpan]:
        """All that was accepted, once so many of that name were."""

        def is_there() -> bool:
            return sum(span.name == name for span in self.accepted) >= count

        with self.arrived:
            assert self.arrived.wait_for(is_there, PATIENCE_S), self.accepted
            return self.accepted

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """The status of the answer."""
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request = Request(path, headers, list(_spans(ExportTraceServiceRequest.FromString(body))))
        with self.arrived:
            self.asked += 1
            status = self.statuses.pop(0) if self.statuses else 200
            if self.refuses & {span.name for span in request.spans}:
                status = 400
            if status == 200:
                self.requests.append(request)
            self.arrived.notify_all()
        return status


def _spans(request: Any) -> Iterator[ReceivedSpan]:
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for span in (span for scope in group.scope_spans for span in scope.spans):
            yield ReceivedSpan(
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                span.name,
                span.kind,
                span.start_time_unix_nano,
                span.end_time_unix_nano,
                _attributes(span.attributes),
                span.status.message if span.status.code == 2 else None,
                resource,
            )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = self.receiver.take(self.path, headers, body)
        self.send_response(status)
        if status != 200 and self.receiver.retry_after:
            self.send_header("Retry-After", self.receiver.retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def otlp_receiver(port: int = 0, receiver: Receiver | None = None) -> Iterator[Receiver]:
    """It listens on `port`; `receiver` goes on with one that was away."""
    found = receiver or Receiver(port or free_port())
    handler = type("Handler", (_Handler,), {"receiver": found})
    server = ThreadingHTTPServer(("127.0.0.1", found.port), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
