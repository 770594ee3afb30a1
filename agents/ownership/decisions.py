"""What servers of one site decide about a session and about requests to its owner. No I/O.

A request is carried out under the epoch at which it was taken. An epoch is over as soon as the
session has a greater one: from then on nothing that was begun under it reaches the log. So a
request that an earlier owner took and did not answer may be taken again.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.models import InboxRow

State = InboxRow.State

OPEN = (State.NEW, State.TAKEN)
"""The states of a request that has no answer."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A session as another server finds it.

    `is_owned`: its owner is alive; `is_at_rest`: no run is unfinished; `inactive_s`: seconds since
    its owner wrote to it.
    """

    is_owned: bool
    is_at_rest: bool
    inactive_s: float


def may_be_taken_over(standing: Standing, idle_s: float) -> bool:
    """Whether a server that a client asks for the session takes it; if not, it follows."""
    return not standing.is_owned or (standing.is_at_rest and standing.inactive_s >= idle_s)


def is_handed_over(*, is_idle: bool, is_followed: bool) -> bool:
    """Whether an owner leaves a session, without runs and sockets, to its followers."""
    return is_idle and is_followed


@dataclass(frozen=True, slots=True)
class Request:
    """A row of the inbox. `epoch`: under which it was taken; `is_late`: its deadline has passed."""

    state: State
    epoch: int
    is_late: bool


def may_be_carried_out(request: Request, epoch: int) -> bool:
    """Whether an owner may take a request under its epoch."""
    if request.is_late:
        return False
    is_left = request.state is State.TAKEN and request.epoch < epoch
    return request.state is State.NEW or is_left


def may_be_answered(request: Request, epoch: int, session_epoch: int) -> bool:
    """Whether an owner that took a request under `epoch` may answer it now."""
    return request.state is State.TAKEN and request.epoch == epoch == session_epoch


def may_expire(request: Request, session_epoch: int, *, is_closed: bool) -> bool:
    """Whether the server that wrote a request may give it up.

    The epoch of a session that `is_closed` does not grow any more, and its log is complete.
    """
    if not request.is_late:
        return False
    is_left = request.state is State.TAKEN and (request.epoch < session_epoch or is_closed)
    return request.state is State.NEW or is_left
