"""What the sockets of the trace dialect have in common: how they say what is in no trace."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from agents.sentences import say
from agents.sockets.base import SocketConsumer
from agents.transients import Notice, Problem, Transient
from traces.live.messages import Json, frame, problem_data, status_data


class TraceSocket(SocketConsumer):
    """`session_name`: what the client calls its conversation; None if it has none."""

    @property
    def session_name(self) -> str | None:
        return None

    @property
    def cursor(self) -> str | None:
        """What a viewer of all traces may come back by."""
        return None

    def render_problem(self, problem: Problem) -> str:
        return self.frame_now("error", "run_error", problem_data(problem.text, problem.code))

    def tell(self, transient: Transient) -> None:
        match transient:
            case Problem():
                self.say_now(self.render_problem(transient))
            case Notice():
                code = transient.code
                self.say_status(told_once(f"notice_{code}"), code, say(transient.lang, code))

    def say_status(self, message_id: str, state: str, sentence: str) -> None:
        self.say_now(self._frame("status_update", message_id, status_data(state, sentence)))

    def say_now(self, text: str) -> None:
        """Sends what is in no trace; closes the socket if the client does not take even that."""
        self.outbox.push_frame(text)
        if self.outbox.is_overfull:
            self.close_slow()

    def frame_now(self, kind: str, event_type: str, data: Json) -> str:
        """A message that is told once, now."""
        return self._frame(event_type, told_once(kind), data)

    def _frame(self, event_type: str, message_id: str, data: Json) -> str:
        at = datetime.now(UTC)
        return frame(event_type, message_id, at, self.session_name, data, self.cursor)


def told_once(kind: str) -> str:
    """The id of such a message."""
    return f"{kind}_{uuid4().hex[:8]}"
