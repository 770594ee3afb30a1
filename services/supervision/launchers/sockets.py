"""Where workers listen: at Unix sockets of this machine, on TCP as well, or on TCP alone."""

from __future__ import annotations

import socket

from django.utils.translation import gettext_noop

from agents.runs.link_keys import key_of_worker
from agents.runs.remote import UNKNOWN, address_of
from agents.runs.worker_process import Paths
from myagent.worker.listening import BACKLOG
from myagent.worker.tcp import listening_at
from myagent.worker.tls import VARIABLE
from services.supervision.launchers import LaunchFailed, Place


class UnixSockets:
    """A worker has a socket in this machine's folder, and no other."""

    is_local = True

    def place(self, instance_id: str) -> Place:
        return Place(Paths.of(instance_id).options)


UNIX_SOCKETS = UnixSockets()


class TcpSockets:
    """Beside the Unix socket, through which it is supervised, a worker listens on TCP.

    Raises `OSError`. A fixed `port` is one socket for all workers, so that one can take over from
    another; with port 0 each gets one of its own. `advertised`: the host and port that servers
    elsewhere dial, with port 0 for the one where it listens.
    """

    is_local = True

    def __init__(self, host: str, port: int, advertised: tuple[str, int]) -> None:
        self._host = host
        self._advertised = advertised
        listening = listening_at(host, port, BACKLOG)
        self._shared = listening if port else None
        if not port:
            listening.close()

    def place(self, instance_id: str) -> Place:
        listening = self._listening()
        host, port = self._advertised
        return Place(
            (*Paths.of(instance_id).options, f"--listen-fd={listening.fileno()}"),
            _key_of(instance_id),
            address=address_of(host, port or listening.getsockname()[1]),
            handed=(listening.detach(),),
        )

    def close(self) -> None:
        """May be called twice."""
        if self._shared is not None:
            self._shared.close()

    def _listening(self) -> socket.socket:
        try:
            if self._shared is not None:
                return self._shared.dup()
            return listening_at(self._host, 0, BACKLOG)
        except OSError as error:
            raise LaunchFailed(
                gettext_noop("No TCP socket could be opened: {reason}."),
                reason=error.strerror or str(error),
            ) from error


class AnyPort:
    """For processes of other machines: a worker listens on TCP, at a port that it chooses.

    Its launcher finds out where, and tells the supervisor: see `Polled.address`.
    """

    is_local = False

    def place(self, instance_id: str) -> Place:
        return Place(("--listen=0.0.0.0:0",), _key_of(instance_id), address=UNKNOWN)


def _key_of(instance_id: str) -> dict[str, str]:
    return {VARIABLE: key_of_worker(instance_id).text}
