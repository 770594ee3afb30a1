"""What a client is told whose handshake is none: the library's sentence, with our headers."""

from __future__ import annotations

from http import HTTPStatus

from websockets.http11 import Response
from websockets.server import ServerProtocol

from agents.runtime.http.safe_headers import SAFE_HEADERS


class SafeHandshake(ServerProtocol):
    """Its refusals tell browsers what every response tells them."""

    def reject(self, status: HTTPStatus | int, text: str) -> Response:
        response = super().reject(status, text)
        for name, value in SAFE_HEADERS:
            response.headers[name.decode()] = value.decode()
        return response


def replaced(made: ServerProtocol, max_size: int | None) -> SafeHandshake:
    """The same for a connection of which nothing has been read yet."""
    # Its running parser refers to it: it would wait for a garbage collection.
    made.parser.close()
    return SafeHandshake(
        extensions=made.available_extensions, max_size=max_size, logger=made.logger
    )
