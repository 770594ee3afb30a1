"""Where a worker listens: at a Unix socket, on TCP, or both.

From the beginning: who dials while the agent file is loaded waits until it is.
"""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from myagent.worker.forks import leave_to_parent
from myagent.worker.tcp import listening_at
from myagent.worker.tls import VARIABLE, BadLinkKey, LinkKey, context_of

BACKLOG = 64


@dataclass(frozen=True, slots=True)
class Tcp:
    """A listening socket, and the context with which who dials is greeted."""

    socket: socket.socket
    context: ssl.SSLContext


class Listening:
    """Listens as soon as it is made. Raises `OSError` and `BadLinkKey`.

    `path`: of the Unix socket. `address`: host and port, 0 for any; or `descriptor`: the number of
    a TCP socket that was inherited, and listens. Both need a `key`.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        address: tuple[str, int] | None = None,
        descriptor: int | None = None,
        key: LinkKey | None = None,
    ) -> None:
        self.tcp: Tcp | None = None
        self.unix: socket.socket | None = None
        self._path = path
        self._number = 0
        if address is not None or descriptor is not None:
            if key is None:
                raise BadLinkKey(f"{VARIABLE} is not set")
            context = context_of(key, is_worker=True)
            self.tcp = Tcp(_inherited(descriptor) if address is None else _at(address), context)
        if path is not None:
            self.unix = _unix(path)
            self._number = os.stat(path).st_ino

    def leave(self) -> None:
        """Removes the Unix socket, unless another one has its name by now. May be called twice."""
        if self._path is not None:
            with suppress(FileNotFoundError):
                if self._path.stat().st_ino == self._number:
                    self._path.unlink()

    def close(self) -> None:
        if self.unix is not None:
            self.unix.close()
        if self.tcp is not None:
            self.tcp.socket.close()


def _unix(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    # Before the file is loaded: what that forks would be dialled after the worker's death.
    leave_to_parent(listening)
    with suppress(FileNotFoundError):
        path.unlink()
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    finally:
        os.umask(before)
    return listening


def _at(address: tuple[str, int]) -> socket.socket:
    listening = listening_at(*address, BACKLOG)
    leave_to_parent(listening)
    return listening


def _inherited(descriptor: int | None) -> socket.socket:
    listening = socket.socket(fileno=descriptor)
    listening.set_inheritable(False)
    leave_to_parent(listening)
    return listening
