"""The sockets attached to one session: all of them see the same log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agents.database import DatabaseThreads
from agents.entries import Logged
from agents.ports import Socket
from agents.subscription import Subscription
from agents.transients import Notice, StepStarted, Transient

if TYPE_CHECKING:
    from agents.live import LiveSession


class Audience:
    """Spreads what happens; each socket at its own pace."""

    def __init__(self, session: LiveSession, database: DatabaseThreads) -> None:
        self._session = session
        self._database = database
        self._subscriptions: dict[str, Subscription] = {}

    def __len__(self) -> int:
        return len(self._subscriptions)

    @property
    def sockets(self) -> list[Socket]:
        return [subscription.socket for subscription in self._subscriptions.values()]

    def add(self, socket: Socket, seq: int) -> Subscription:
        """Attaches at `seq`; replaces what the socket had."""
        self.remove(socket)
        subscription = Subscription(self._session, socket, seq, self._database)
        self._subscriptions[socket.connection_id] = subscription
        return subscription

    def remove(self, socket: Socket) -> None:
        if subscription := self._subscriptions.pop(socket.connection_id, None):
            subscription.close()

    def clear(self) -> None:
        for subscription in self._subscriptions.values():
            subscription.close()
        self._subscriptions.clear()

    # A socket that can't take any more may leave while it is told.

    def show(self, logged: Sequence[Logged]) -> None:
        for entry in logged:
            for subscription in list(self._subscriptions.values()):
                subscription.offer(entry)

    def show_thinking(self, step: int) -> None:
        self._tell_all(StepStarted(self._session.lang, self._session.session_id, step))

    def show_notice(self, code: str) -> None:
        self._tell_all(Notice(self._session.lang, code, self._session.session_id))

    def _tell_all(self, transient: Transient) -> None:
        for subscription in list(self._subscriptions.values()):
            subscription.tell(transient)

    def show_text(self, run_id: str, step: int, offset: int, text: str) -> None:
        for subscription in list(self._subscriptions.values()):
            subscription.offer_text(run_id, step, offset, text)
