"""One attempt at a run on one worker, and the interface that receives its events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from myagent.steps import Decision, Step
from myagent.worker import protocol
from myagent.worker.protocol import LinkError, RunKey

logger = structlog.get_logger(__name__)


class Breakable(Protocol):
    """A run that can be abandoned."""

    def on_broken(self, error: Exception) -> None:
        """The run has no worker any more, and can only end.

        A `LinkError`: the worker said what no run says. Any other: telling the
        run something raised it.
        """


def give_up(run: Breakable, error: Exception, **about: str) -> None:
    """Ends a run after a failure. Never raises: the other runs must continue."""
    logger.error("run_broken", exc_info=error, **about)
    try:
        run.on_broken(error)
    except Exception:
        logger.exception("run_not_ended", **about)


class Receiver(Breakable, Protocol):
    """Receives the events of a run on a worker. Called on the event loop, in order."""

    def on_steps(self, steps: Sequence[Step], attempt: Attempt) -> None:
        """Durable steps; answered with `attempt.accept()` or `attempt.refuse()`."""

    def on_step_started(self, step: int) -> None: ...

    def on_text(self, step: int, text: str) -> None: ...

    def on_stopped(self, stopped: protocol.Stopped) -> None: ...

    def on_history_needed(self) -> None:
        """Nothing was started: the worker needs the whole history. Start the run there again."""

    def on_lost(self, attempt: Attempt, *, has_died: bool) -> None:
        """The link has ended. `has_died`: because the worker's process ended unexpectedly."""


class Attempt:
    """One run on one worker, until either of them has finished with the other.

    `send` is the link's; `release` makes the link forget the attempt. `has_whole_history`: the run
    was started with the whole history, so the worker may not ask for it again.
    """

    def __init__(
        self,
        key: RunKey,
        receiver: Receiver,
        *,
        send: Callable[[protocol.FromServer], None],
        release: Callable[[Attempt], None],
        has_whole_history: bool = False,
    ) -> None:
        self.key = key
        self.receiver = receiver
        self._send = send
        self._release = release
        self._has_whole_history = has_whole_history
        self.is_quarantined = False
        """The run may be the one that kills workers: it alone is blamed if this worker dies."""

    def accept(self) -> None:
        """The steps are in the log: the run may go on."""
        self._send(protocol.Accept(self.key))

    def refuse(self) -> None:
        """The steps are not wanted: the run ends."""
        self._send(protocol.Refuse(self.key))

    def decide(self, step_id: str, decision: Decision) -> None:
        self._send(protocol.Decide(self.key, step_id, decision))

    def cancel(self) -> None:
        """Asks the run to stop; it reports when it has."""
        self._send(protocol.Cancel(self.key))

    def hear(self, message: protocol.OfARun) -> None:
        """Handles the worker's message about the run. Never raises: a failure ends only the run."""
        try:
            self._tell(message)
        except Exception as error:
            self.give_up(error)

    def hear_lost(self, *, has_died: bool) -> None:
        """The link has ended. Never raises."""
        try:
            self.receiver.on_lost(self, has_died=has_died)
        except Exception as error:
            self.give_up(error)

    def give_up(self, error: Exception) -> None:
        """Ends the run, here and on the worker. Never raises."""
        self.cancel()
        self.done()
        give_up(self.receiver, error, session_id=self.key.session_id)

    def done(self) -> None:
        """Nothing of the run is wanted any more. May be called twice."""
        self._release(self)

    def _tell(self, message: protocol.OfARun) -> None:
        receiver = self.receiver
        match message:
            case protocol.Text(_, step, text):
                receiver.on_text(step, text)
            case protocol.Steps(_, steps):
                receiver.on_steps(steps, self)
            case protocol.Stepping(_, step):
                receiver.on_step_started(step)
            case protocol.Stopped():
                self.done()
                receiver.on_stopped(message)
            case protocol.NeedHistory():
                if self._has_whole_history:
                    raise LinkError("the history is asked for again, although it was whole")
                self.done()
                receiver.on_history_needed()
