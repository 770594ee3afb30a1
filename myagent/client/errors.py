"""Errors of the client, for the code that uses it."""

from __future__ import annotations

from typing import Any

from myagent.protocol.server_events import ServerError


class ClientError(Exception):
    """Something went wrong between this client and the service; the text says what."""


class InvalidRequest(ClientError, ValueError):
    """The request is not valid; it was not sent."""


class ConnectionFailed(ClientError):
    """The service can't be reached at this address."""


class NotAllowed(ConnectionFailed):
    """The service does not admit this client: a token or an origin is wrong."""


class NoSuchService(ConnectionFailed):
    """There is a server, but no such service."""


class GaveUp(ConnectionFailed):
    """The connection was lost and could not be made again in the time allowed.

    The session goes on: connect again with its `session_id` and `last_seq`.
    """


class Refused(ClientError):
    """The service refused the request, and nothing has changed.

    `code` is one of the protocol's. `is_retryable`: it may work later, if the service said so after
    `retry_after_s`. `limit`: the name of the limit that was reached.
    """

    def __init__(
        self,
        code: str,
        sentence: str,
        *,
        is_retryable: bool = False,
        limit: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(sentence or code)
        self.code = code
        self.is_retryable = is_retryable
        self.limit = limit
        self.retry_after_s = retry_after_s


class UnknownSession(Refused):
    """The service has no such session."""


class AnswerLost(ClientError):
    """The end of this message can't be read from the log: it lies before the replayed part."""


class ClientClosed(ClientError):
    """The client was closed before or during this call."""


def refused(code: str, sentence: str, **details: Any) -> Refused:
    """The error for a refusal with this code. `details`: of `Refused`."""
    kind = UnknownSession if code == "unknown_session" else Refused
    return kind(code, sentence, **details)


def refused_by(error: ServerError) -> Refused:
    """The error for what the service refused."""
    return refused(
        error.code,
        error.content,
        is_retryable=error.retryable,
        limit=error.limit,
        retry_after_s=error.retry_after_s,
    )
