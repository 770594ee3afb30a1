"""The sockets attached to one session: all of them see the same log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from agents.log.entry import Logged
from agents.ports import Socket
from agents.runtime.database import DatabaseThreads
from agents.sessions.pieces import Piece
from agents.sessions.relay import Relay
from agents.sessions.subscription import Position, Subscription, TextSoFar
from agents.transients import Notice, StepStarted, Transient


class Told(Position, Protocol):
    """What an audience is told of, in a language."""

    lang: str


class Audience:
    """Passes events on to the sockets, to each at its own pace, and to servers that follow.

    `current` returns the text that a newly attached socket is shown. `relay` is None where the
    session belongs to another server. `count` is called after each change of the number of sockets,
    with the change.
    """

    def __init__(
        self,
        log: Told,
        database: DatabaseThreads,
        relay: Relay | None = None,
        *,
        count: Callable[[int], None] = lambda change: None,
    ) -> None:
        self.current: Callable[[], TextSoFar | None] = lambda: None
        self._count = count
        self._log = log
        self._database = database
        self._relay = relay
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
            current=self._text_so_far,
            on_failed=lambda: self._send_back(socket),
        )
        self._subscriptions[socket.connection_id] = subscription
        self._count(1)
        return subscription

    def admit(self, subscriptions: Sequence[Subscription]) -> None:
        """Takes over subscriptions of the session's former audience, where each stands."""
        for subscription in subscriptions:
            socket = subscription.socket
            self._subscriptions[socket.connection_id] = subscription
            subscription.turn_to(
                self._log,
                current=self._text_so_far,
                on_failed=partial(self._send_back, socket),
            )
        self._count(len(subscriptions))

    def release(self) -> list[Subscription]:
        """Gives its subscriptions away."""
        subscriptions = list(self._subscriptions.values())
        self._subscriptions.clear()
        self._count(-len(subscriptions))
        return subscriptions

    def remove(self, socket: Socket) -> None:
        if subscription := self._subscriptions.pop(socket.connection_id, None):
            subscription.close()
            self._count(-1)

    def clear(self) -> None:
        for subscription in self.release():
            subscription.close()

    # A socket that is overfull may leave during this loop.

    def show(self, logged: Sequence[Logged]) -> None:
        for entry in logged:
            for subscription in list(self._subscriptions.values()):
                subscription.offer(entry)
        if self._relay is not None:
            self._relay.note_logged(self._log.session_id, logged)

    def show_thinking(self, step: int) -> None:
        self._tell_all(StepStarted(self._log.lang, self._log.session_id, step))
        self._pass_on("", step, 0, None)

    def show_notice(self, code: str) -> None:
        self._tell_all(Notice(self._log.lang, code, self._log.session_id))
        self._pass_on("", 0, 0, None, code)

    def show_text(self, run_id: str, step: int, offset: int, text: str) -> None:
        for subscription in list(self._subscriptions.values()):
            subscription.offer_text(run_id, step, offset, text)
        self._pass_on(run_id, step, offset, text)

    def _pass_on(
        self, run_id: str, step: int, offset: int, text: str | None, notice: str = ""
    ) -> None:
        if self._relay is not None:
            piece = Piece(self._log.last_seq, run_id, step, offset, text, notice)
            self._relay.show(self._log.session_id, piece)

    def _text_so_far(self) -> TextSoFar | None:
        return self.current()

    def _tell_all(self, transient: Transient) -> None:
        for subscription in list(self._subscriptions.values()):
            subscription.tell(transient)

    def _send_back(self, socket: Socket) -> None:
        """Makes a socket resume that would otherwise get no more events."""
        self.remove(socket)
        socket.attached.pop(self._log.session_id, None)
        socket.lose(self._log.session_id, "internal_error")
