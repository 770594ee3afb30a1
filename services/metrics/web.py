"""A small web server for metrics, in threads: it answers while the event loop is stuck, too."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterable
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import structlog
from django.conf import settings

from agents.runtime.edge import host_is_allowed
from agents.runtime.http.safe_headers import SAFE_HEADERS

logger = structlog.get_logger(__name__)

MOST_AT_ONCE = 16
"""Connections that are open at once; one more is closed."""

MOST_S = 15.0
"""Seconds from the start of a connection until it is cut off."""

REACHED_AT = "myagent.reached_at"
"""In the environment of a request: the address of this machine that it came to."""

HEADERS = [
    *((name.decode(), value.decode()) for name, value in SAFE_HEADERS),
    # Else the library tells its version, and Python's.
    ("server", "metrics"),
]


class MetricsServer(ThreadingMixIn, WSGIServer):
    """A thread for each connection, within the bounds above."""

    daemon_threads = True
    request_queue_size = MOST_AT_ONCE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(*args, **kwargs)

    def server_bind(self) -> None:
        """Without the standard library's question for the machine's name, which may take long."""
        TCPServer.server_bind(self)
        host, port, *_ = self.server_address
        self.server_name, self.server_port = str(host), int(port)
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            # The system has no thread left.
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        end = threading.Timer(MOST_S, _cut_off, [request])
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """What metrics fail at was logged by then: mostly, a peer has left, or was cut off."""
        logger.debug("metrics_peer_lost", peer=client_address, exc_info=True)


class _Handler(WSGIRequestHandler):
    timeout = MOST_S

    def get_environ(self) -> WSGIEnvironment:
        return super().get_environ() | {REACHED_AT: self.connection.getsockname()[0]}

    def version_string(self) -> str:
        return "metrics"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: Prometheus asks all the time."""


def served(host: str, port: int, application: WSGIApplication) -> MetricsServer:
    """Listens there; to be served by `serve_forever`, in a thread. Raises `OSError`."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    kind = type("MetricsServer", (MetricsServer,), {"address_family": family})
    server: MetricsServer = make_server(host, port, _safe(application), kind, _Handler)
    return server


def _safe(application: WSGIApplication) -> WSGIApplication:
    """Refuses names of other sites at loopback (DNS rebinding): what asks may be a browser."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, *HEADERS], *more)

        is_local = _is_loopback(environ[REACHED_AT])
        host = str(environ.get("HTTP_HOST", ""))
        if is_local and host and not host_is_allowed(host, settings.SITE_HOSTS):
            start("403 Forbidden", [("content-type", "text/plain; charset=utf-8")])
            return [b"This address may not be used.\n"]
        return application(environ, start)

    return answer


def _is_loopback(address: str) -> bool:
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        # A socket that takes both kinds of addresses tells the older ones so.
        found = found.ipv4_mapped or found
    return found.is_loopback


def _cut_off(request: socket.socket) -> None:
    try:
        request.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # It has ended just now.
