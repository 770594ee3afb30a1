"""The run to which an event belongs, derived from the log alone; no I/O."""

from __future__ import annotations

from myagent.protocol.server_events import (
    ConfirmationAsked,
    MessageAccepted,
    ResponseLogged,
    RunEnded,
    ServerEvent,
    ThinkingCompleted,
    ThinkingStarted,
    ToolCalled,
    ToolFinished,
)

_STEPS = (
    ThinkingStarted,
    ThinkingCompleted,
    ToolCalled,
    ToolFinished,
    ConfirmationAsked,
    ResponseLogged,
)


class Runs:
    """The session's current run and its queue, in order, as far as known from the events."""

    def __init__(self) -> None:
        self._open: list[str] = []

    @property
    def current(self) -> str:
        """The current run, '' if none is known."""
        return self._open[0] if self._open else ""

    def is_open(self, run_id: str) -> bool:
        """The run has been accepted and has not ended."""
        return run_id in self._open

    def take(self, event: ServerEvent) -> str:
        """The run of the log's next event, or of a transient one; '' if none is known."""
        match event:
            case MessageAccepted() if not event.duplicate:
                # The nth in the queue: place 0 is the current run's.
                self._open.insert(event.position, event.run_id)
            case RunEnded() if event.run_id in self._open:
                self._open.remove(event.run_id)
            case _ if isinstance(event, _STEPS) and not event.run_id:
                return self.current
        return event.run_id

    def forget(self) -> None:
        """Forgets all that was seen."""
        self._open.clear()
