"""One socket to a service: events in, frames out, and the meaning of its close codes."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
)

from myagent.client.conversation import Lost
from myagent.client.errors import (
    ConnectionFailed,
    InvalidRequest,
    NoSuchService,
    NotAllowed,
)
from myagent.protocol import CloseCode
from myagent.protocol.server_events import ServerError, ServerEvent, UnreadableFrame, read
from myagent.sentence import Sentence

DIAL_S = 10.0
CLOSE_S = 2.0

SILENCE_S = 35.0
"""A server sends something every 25 s; after this many seconds of silence it gets a ping."""

LARGEST_FRAME_BYTES = 64 * 2**20

_FINAL = {
    CloseCode.NOT_AUTHENTICATED: NotAllowed,
    CloseCode.ORIGIN_NOT_ALLOWED: NotAllowed,
    CloseCode.NO_SUCH_SERVICE: NoSuchService,
    CloseCode.PROTOCOL_ABUSE: ConnectionFailed,
    # Protocol error, unsupported data, bad text, policy, too big: these would happen again.
    **dict.fromkeys((1002, 1003, 1007, 1008, 1009), ConnectionFailed),
}


class Unreachable(Lost):
    """There was no connection at all."""


class Link:
    """A connected socket. Unread frames slow the server down and do not fill the memory."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._last_error = ""
        self._last_code = ""

    @classmethod
    async def dial(cls, url: str, token: str | None) -> Self:
        """Raises `Unreachable`, or a `ClientError` if trying again is pointless."""
        headers = {"Authorization": f"Bearer {token}"} if token else None
        try:
            # Silence is judged in `receive`: a slow reader does not see pongs in time.
            socket = await connect(
                url,
                additional_headers=headers,
                compression=None,
                open_timeout=DIAL_S,
                close_timeout=CLOSE_S,
                ping_interval=None,
                max_size=LARGEST_FRAME_BYTES,
            )
        except InvalidURI as error:
            raise InvalidRequest(
                Sentence(
                    "{url} is not the address of a service: that looks like ws://localhost:8080/.",
                    url=repr(url),
                )
            ) from error
        except InvalidStatus as error:
            raise _refusal(url, error.response.status_code) from error
        except InvalidHandshake as error:
            raise Unreachable(
                Sentence("What answers at {url} is not a WebSocket service.", url=url)
            ) from error
        except TimeoutError as error:
            raise Unreachable(Sentence("Nothing answers at {url}.", url=url)) from error
        except OSError as error:
            raise Unreachable(
                Sentence("{url} can't be reached: {reason}.", url=url, reason=_reason(error))
            ) from error
        return cls(socket)

    async def receive(self) -> ServerEvent:
        """The next event. Raises `Lost`, or a `ClientError` if the end is final.

        Cancelling is safe.
        """
        try:
            event = read(await self._next_frame())
        except ConnectionClosed as error:
            raise self._ending(error) from error
        except UnreadableFrame as error:
            raise Lost(str(error)) from error
        if isinstance(event, ServerError):
            self._last_error, self._last_code = event.content, event.code
        return event

    async def send(self, frame: str) -> None:
        """Raises `Lost`."""
        try:
            await self._socket.send(frame)
        except ConnectionClosed as error:
            raise Lost(Sentence("The connection was lost.")) from error

    async def close(self) -> None:
        """Closes the socket within `CLOSE_S`, whatever the server does; at once if cancelled."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._socket.close()
        except TimeoutError:
            pass  # It is cut off.
        finally:
            self.abort()

    def abort(self) -> None:
        """Cuts the connection; `receive` raises `Lost`."""
        self._socket.transport.abort()

    async def _next_frame(self) -> str | bytes:
        try:
            async with asyncio.timeout(SILENCE_S):
                return await self._socket.recv()
        except TimeoutError:
            await self._ask_for_life()
        return await self._socket.recv()

    async def _ask_for_life(self) -> None:
        try:
            async with asyncio.timeout(DIAL_S):
                await (await self._socket.ping())
        except TimeoutError as error:
            self.abort()
            raise Lost(Sentence("The server does not answer any more.")) from error

    def _ending(self, closed: ConnectionClosed) -> Exception:
        close = closed.rcvd or closed.sent
        code = close.code if close is not None else None
        if code in _FINAL:
            sentence = self._last_error or Sentence(
                "The server closed the connection with code {code}.", code=code
            )
            return _FINAL[code](sentence)
        sentence = self._last_error or Sentence("The connection was lost.")
        if closed.rcvd is None:
            return Lost(sentence)
        return Lost(sentence, code=self._last_code, close_code=closed.rcvd.code)


def _reason(error: OSError) -> str:
    # A host with several addresses fails with one text for all of them, without an errno.
    if f"Errno {errno.ECONNREFUSED}" in str(error):
        return Sentence("nothing listens there")
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return error.strerror or Sentence("no connection could be made")


def _refusal(url: str, status: int) -> Exception:
    if status in (401, 403):
        return NotAllowed(
            Sentence("{url} does not let this client in (HTTP {status}).", url=url, status=status)
        )
    if status == 404:
        return NoSuchService(Sentence("There is no service at {url} (HTTP 404).", url=url))
    sentence = Sentence(
        "{url} does not take WebSocket connections (HTTP {status}).", url=url, status=status
    )
    is_passing = status >= 500 or status == 429
    return Unreachable(sentence) if is_passing else ConnectionFailed(sentence)
