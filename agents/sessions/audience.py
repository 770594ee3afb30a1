"""The sockets attached to one session: all of them see the same log."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agents.log.entry import Logged
from agents.log.session_log import SessionLog
from agents.ports import Socket
from agents.runs.execution import Execution
from agents.runtime.database import DatabaseThreads
from agents.sessions.subscription import Subscription
from agents.transients import Notice, StepStarted, Transient


class Audience:
    """Passes events on to the sockets, to each at its own pace.

    `current` is the run whose text a newly attached socket is shown. `count` is called with the
    change of the number of sockets.
    """

    def __init__(
        self,
        log: SessionLog,
        database: DatabaseThreads,
        *,
        count: Callable[[int], None] = lambda change: None,
    ) -> None:
        self.current: Execution | None = None
        self._count = count
        self._log = log
        self._database = database
        self._subscriptions: dict[str, Subscription] = {}

    def __len__(self) -> int:
        return len(self._subscriptions)

    @property
    def sockets(self) -> list[Socket]:
        return [subscription.socket for subscription in self._subscriptions.values()]

    def add(self, socket: Socket, seq: int) -> Subscription:
        """Attaches the socket at `seq`; replaces its former subscription."""
        self.remove(socket)
        subscription = Subscription(
            self._log,
            socket,
            seq,
            self._database,
            current=lambda: self.current,
            on_failed=lambda: self._send_back(socket),
        )
        self._subscriptions[socket.connection_id] = subscription
        self._count(1)
        return subscription

    def remove(self, socket: Socket) -> None:
        if subscription := self._subscriptions.pop(socket.connection_id, None):
            subscription.close()
            self._count(-1)

    def clear(self) -> None:
        for subscription in self._subscriptions.values():
            subscription.close()
        self._count(-len(self._subscriptions))
        self._subscriptions.clear()

    # A socket that is overfull may leave during this loop.

    def show(self, logged: Sequence[Logged]) -> None:
        for entry in logged:
            for subscription in list(self._subscriptions.values()):
                subscription.offer(entry)

    def show_thinking(self, step: int) -> None:
        self._tell_all(StepStarted(self._log.lang, self._log.session_id, step))

    def show_notice(self, code: str) -> None:
        self._tell_all(Notice(self._log.lang, code, self._log.session_id))

    def show_text(self, run_id: str, step: int, offset: int, text: str) -> None:
        for subscription in list(self._subscriptions.values()):
            subscription.offer_text(run_id, step, offset, text)

    def _tell_all(self, transient: Transient) -> None:
        for subscription in list(self._subscriptions.values()):
            subscription.tell(transient)

    def _send_back(self, socket: Socket) -> None:
        """Makes a socket resume that would otherwise get no more events."""
        self.remove(socket)
        socket.attached.pop(self._log.session_id, None)
        socket.lose(self._log.session_id, "internal_error")
