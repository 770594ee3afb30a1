"""Requests to a service that have not been answered yet. No I/O.

A request is sent again on each new socket until an event answers it. The server recognises messages
by their id, responses by their step, cancels by their run and feedback that it has already, so that
nothing happens twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from myagent.client.errors import ClientError, refused, refused_by
from myagent.protocol.server_events import (
    CancelLogged,
    FeedbackLogged,
    Interrupted,
    MessageAccepted,
    Notice,
    ResponseLogged,
    RunEnded,
    ServerError,
    ServerEvent,
    SessionEnded,
    ToolFinished,
)

Outcome = ServerEvent | ClientError

AGAIN = frozenset({"rate_limited", "storage_unavailable", "service_unavailable"})
"""Codes of refusals after which the same frame is sent again, a little later."""

OF_ANY = frozenset({"unknown_session", "session_closed", "forbidden", "internal_error"})
"""Codes of refusals that may concern any request and name none."""

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 5.0


@dataclass(eq=False, kw_only=True)
class Request:
    """`frame` is what is sent, from `not_before` on; `settle` is called once, with the outcome."""

    frame: str
    settle: Callable[[Outcome], None]
    is_sent: bool = False
    not_before: float = 0.0
    refused_since: float | None = None

    def answer(self, event: ServerEvent) -> Outcome | None:
        """The outcome of this request according to the event, None if it says nothing about it."""
        raise NotImplementedError

    def is_meant_by(self, error: ServerError) -> bool:
        """Whether the refusal concerns, or may concern, this request."""
        return self.is_sent and not error.message_id and error.code in OF_ANY | AGAIN


@dataclass(eq=False, kw_only=True)
class MessageRequest(Request):
    message_id: str

    def answer(self, event: ServerEvent) -> Outcome | None:
        is_echo = isinstance(event, MessageAccepted) and event.message_id == self.message_id
        return event if is_echo else None

    def is_meant_by(self, error: ServerError) -> bool:
        return error.message_id == self.message_id or super().is_meant_by(error)


@dataclass(eq=False, kw_only=True)
class ResponseRequest(Request):
    step_id: str

    def answer(self, event: ServerEvent) -> Outcome | None:
        if event.step_id != self.step_id:
            return None
        if isinstance(event, ResponseLogged):
            return event
        # Once it is sent, the server's own answer is better.
        if isinstance(event, ToolFinished) and not self.is_sent:
            return refused("not_waiting", "The tool does not wait for a response any more.")
        return None

    def is_meant_by(self, error: ServerError) -> bool:
        if error.step_id:
            return error.step_id == self.step_id
        return (self.is_sent and error.code == "not_waiting") or super().is_meant_by(error)


@dataclass(eq=False, kw_only=True)
class FeedbackRequest(Request):
    """`score` and `comment` as the server echoes them."""

    message_id: str
    score: float | None
    comment: str | None

    def answer(self, event: ServerEvent) -> Outcome | None:
        # What is replayed was said before.
        if not (self.is_sent and isinstance(event, FeedbackLogged)):
            return None
        said = (event.message_id, event.score, event.content)
        return event if said == (self.message_id, self.score, self.comment) else None

    def is_meant_by(self, error: ServerError) -> bool:
        return error.message_id == self.message_id or super().is_meant_by(error)


@dataclass(eq=False, kw_only=True)
class CancelRequest(Request):
    """`run_id` or `message_id` names the run; without either it is the current one.

    `stopped` is the replayed event that stopped the run: the request may have been accepted before
    the socket was lost, in which case its repetition is answered with `not_running`.
    """

    run_id: str = ""
    message_id: str = ""
    stopped: ServerEvent | None = None

    def answer(self, event: ServerEvent) -> Outcome | None:
        if not self.is_sent and self._is_stop(event):
            self.stopped = event
        outcome = self._answer_to_this_socket(event)
        return self.stopped or outcome if isinstance(outcome, Notice) else outcome

    def _is_stop(self, event: ServerEvent) -> bool:
        if isinstance(event, CancelLogged):
            return bool(self.run_id) and self.run_id == event.run_id
        is_named = bool(self.run_id or self.message_id)
        return is_named and isinstance(event, Interrupted) and self._is_about(event)

    def _answer_to_this_socket(self, event: ServerEvent) -> Outcome | None:
        match event:
            case CancelLogged():
                is_meant = self.run_id in ("", event.run_id)
            case RunEnded():
                is_meant = self._is_about(event)
            case Notice(code="not_running"):
                is_meant = event.run_id in ("", self.run_id)
            case _:
                is_meant = False
        return event if self.is_sent and is_meant else None

    def _is_about(self, event: RunEnded) -> bool:
        is_named = event.run_id == self.run_id or event.message_id == self.message_id
        return is_named or not (self.run_id or self.message_id)


@dataclass(eq=False, kw_only=True)
class CloseRequest(Request):
    def answer(self, event: ServerEvent) -> Outcome | None:
        return event if isinstance(event, SessionEnded) else None


class Outbox:
    """Requests in the order in which they were made. Times are of one monotonic clock, in s.

    After `give_up_after_s` of passing refusals a request is refused for good.
    """

    def __init__(self, give_up_after_s: float) -> None:
        self._give_up_after_s = give_up_after_s
        self._requests: list[Request] = []
        self._delay_s = FIRST_DELAY_S
        self._not_before = 0.0

    def add(self, request: Request) -> None:
        self._requests.append(request)

    def discard(self, request: Request) -> None:
        """The request is not sent again; it may have been carried out."""
        if request in self._requests:
            self._requests.remove(request)

    def restart(self) -> None:
        """Called for each new socket, on which nothing was sent yet."""
        for request in self._requests:
            request.is_sent = False

    def due(self, now: float) -> Iterator[Request]:
        """The requests to send now; mark each as sent."""
        if now < self._not_before:
            return
        is_held_back = False
        for request in list(self._requests):
            if request.is_sent or request not in self._requests:
                continue
            is_message = isinstance(request, MessageRequest)
            if now < request.not_before or (is_message and is_held_back):
                # Those behind it keep their order.
                is_held_back = is_held_back or is_message
            elif self._may_go(request):
                yield request

    def wait_s(self, now: float) -> float | None:
        """How long until something may be due, None: not before something changes."""
        times = [
            max(self._not_before, each.not_before) for each in self._requests if not each.is_sent
        ]
        later = [time for time in times if time > now]
        return min(later) - now if later else None

    def take(self, event: ServerEvent, now: float) -> None:
        if isinstance(event, ServerError):
            self._take_refusal(event, now)
            return
        for request in list(self._requests):
            outcome = request.answer(event)
            if outcome is not None:
                self._delay_s = FIRST_DELAY_S
                self._settle(request, outcome)

    def fail(self, error: ClientError) -> None:
        """Settles everything."""
        for request in list(self._requests):
            self._settle(request, error)

    def _may_go(self, request: Request) -> bool:
        # `not_waiting` does not say which response it refuses: one at a time.
        return not isinstance(request, ResponseRequest) or not any(
            isinstance(each, ResponseRequest) and each.is_sent for each in self._requests
        )

    def _take_refusal(self, error: ServerError, now: float) -> None:
        for request in list(self._requests):
            if not request.is_meant_by(error):
                continue
            if request.refused_since is None:
                request.refused_since = now
            is_patient = now - request.refused_since < self._give_up_after_s
            if error.code in AGAIN and is_patient:
                request.is_sent = False
                if error.retry_after_s:
                    # Its own affair: cancels don't wait for a limit of messages.
                    request.not_before = now + max(error.retry_after_s, self._delay_s)
                else:
                    self._not_before = now + self._delay_s
            else:
                self._settle(request, refused_by(error))
        if error.code in AGAIN:
            self._delay_s = min(self._delay_s * 2, LONGEST_DELAY_S)

    def _settle(self, request: Request, outcome: Outcome) -> None:
        self.discard(request)
        request.settle(outcome)
