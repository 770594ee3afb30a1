"""Folds the log into the model's context and the state of an interrupted run. No I/O.

Both are folds over entries in log order, so a run that continues after a crash sees what it would
have seen without one.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from itertools import count, islice
from typing import Any

from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Usage
from myagent.steps import Decision, OpenCall, Resume


@dataclass(slots=True)
class Turn:
    """How much of the memory one run takes up."""

    run_id: str
    messages: int = 0
    tokens: int = 0


_generations = count(1)


class History:
    """The model's memory: turns in the order in which their runs started.

    Above `max_tokens` (estimated) the oldest turns are dropped whole, so that a tool call never
    loses its result; the newest turn always stays. The results of one message's calls are in the
    order of the calls, not in the order of arrival. Messages are numbered from `first` to `end` -
    1. `generation` distinguishes this memory from every other one in the process, and changes when
    a number that was read is given to another message: a reader that has a part of the memory can
    tell from the numbers what is new.
    """

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.generation = next(_generations)
        self.first = 0
        # An empty deque takes 600 bytes, and there are thousands of sessions.
        self._turns: list[Turn] = []
        # A single list, because all of it is copied for every run.
        self._messages: list[ChatMessage] = []
        self._tokens = 0
        self._read_end = 0
        """No message with this number or a higher one has been read."""
        self._calls: dict[str, int] = {}
        """The newest calls, and the position of each among them."""
        self._results: list[int] = []
        """The positions of their results, which are the newest messages."""

    @property
    def tokens(self) -> int:
        """The size of what it holds, estimated."""
        return self._tokens

    def start_turn(self, run_id: str) -> None:
        self._turns.append(Turn(run_id))
        self._trim()

    def add(self, run_id: str, message: ChatMessage) -> None:
        """Adds to the newest turn. A message of any other run is not part of the memory."""
        turn = self._turns[-1] if self._turns else None
        if turn is None or turn.run_id != run_id:
            return
        self._insert(message)
        turn.messages += 1
        turn.tokens += message.tokens
        self._tokens += message.tokens
        self._trim()

    def _insert(self, message: ChatMessage) -> None:
        behind = self._results_behind(message)
        at = len(self._messages) - behind
        self._messages.insert(at, message)
        if self.first + at < self._read_end:
            self._renumber()

    def _results_behind(self, message: ChatMessage) -> int:
        """The number of results that the message precedes, once it is counted among them."""
        place = self._calls.get(message.tool_call_id or "")
        if place is None:
            self._calls = {call.id: number for number, call in enumerate(message.tool_calls)}
            self._results = []
            return 0
        at = bisect(self._results, place)
        self._results.insert(at, place)
        return len(self._results) - 1 - at

    def _renumber(self) -> None:
        self.generation = next(_generations)
        self._read_end = 0

    def drop_turn(self, run_id: str) -> None:
        """Takes the newest turn back, if it is that run's."""
        if self._turns and self._turns[-1].run_id == run_id:
            turn = self._turns.pop()
            del self._messages[len(self._messages) - turn.messages :]
            self._tokens -= turn.tokens
            self._calls, self._results = {}, []
            self._renumber()

    def take_back(self, messages: Iterable[ChatMessage]) -> None:
        """Takes the newest messages back, as many as are given and are still there."""
        for message in reversed(list(messages)):
            behind = self._newest(message)
            if behind is not None:
                turn = self._turns[-1]
                del self._messages[-1 - behind]
                self._forget_result(message)
                self._renumber()
                turn.messages -= 1
                turn.tokens -= message.tokens
                self._tokens -= message.tokens

    def _newest(self, message: ChatMessage) -> int | None:
        """The number of messages after it, if it is the newest or a result among the newest."""
        newest = islice(reversed(self._messages), max(1, len(self._results)))
        return next((behind for behind, each in enumerate(newest) if each is message), None)

    def _forget_result(self, message: ChatMessage) -> None:
        place = self._calls.get(message.tool_call_id or "")
        if place is not None:
            self._results.remove(place)

    def clear(self) -> None:
        """Drops all turns, as the oldest ones are above `max_tokens`."""
        self.first = self.end
        self._turns, self._messages = [], []
        self._calls, self._results = {}, []
        self._tokens = 0

    @property
    def end(self) -> int:
        return self.first + len(self._messages)

    def messages(self, start: int = 0) -> list[ChatMessage]:
        """A copy, from the number `start` on."""
        self._read_end = self.end
        return self._messages[max(0, start - self.first) :]

    def _trim(self) -> None:
        while self._tokens > self.max_tokens and len(self._turns) > 1:
            turn = self._turns.pop(0)
            del self._messages[: turn.messages]
            self.first += turn.messages
            self._tokens -= turn.tokens


@dataclass(frozen=True, slots=True)
class Fact:
    """What a fold reads of an entry, fresh or from the database."""

    event: str
    step_id: str
    at: datetime
    content: Any
    metadata: Mapping[str, Any]
    message: ChatMessage | None


@dataclass(slots=True)
class CallState:
    """How far one tool call came."""

    call: ToolCall
    asked_at: datetime | None = None
    timeout_s: float = 0.0
    parameters: Mapping[str, Any] | None = None
    decision: Decision | None = None
    started_args: dict[str, Any] | None = None
    started_at: datetime | None = None
    is_finished: bool = False

    @property
    def is_waiting(self) -> bool:
        is_past_it = self.decision or self.started_args is not None or self.is_finished
        return self.asked_at is not None and not is_past_it

    @property
    def deadline(self) -> datetime:
        assert self.asked_at is not None
        return self.asked_at + timedelta(seconds=self.timeout_s)

    @property
    def has_started(self) -> bool:
        return self.started_args is not None

    def as_open(self) -> OpenCall:
        return OpenCall(
            call=self.call,
            has_asked=self.asked_at is not None,
            decision=self.decision,
            has_started=self.has_started,
            started_args=self.started_args,
        )


@dataclass(slots=True)
class RunState:
    """Where a run stands after its entries so far."""

    step: int = 0
    usage: Usage = field(default_factory=Usage)
    calls: dict[str, CallState] = field(default_factory=dict)
    is_cancelled: bool = False

    def apply(self, fact: Fact) -> None:
        """Takes the run's next entry."""
        match fact.event:
            case "agent.thinking":
                self.step = fact.metadata["step"]
                self.usage += usage_of(fact.metadata)
                wanted = fact.message.tool_calls if fact.message else ()
                self.calls = {call.id: CallState(call) for call in wanted}
            case "agent.user_confirm":
                call = self.calls[fact.step_id]
                call.asked_at = fact.at
                call.timeout_s = fact.metadata["timeout_s"]
                call.parameters = fact.metadata.get("parameters")
            case "user.response":
                self.calls[fact.step_id].decision = decision_of(fact.content)
            case "agent.tool_call":
                call = self.calls[fact.step_id]
                call.started_args = fact.metadata["args"]
                call.started_at = fact.at
            case "agent.tool_result":
                self.calls[fact.step_id].is_finished = True
            case "user.cancel":
                self.is_cancelled = True

    def take_back(self, facts: Iterable[Fact]) -> None:
        """An applied step was not stored in the log; the run can only end now."""
        for fact in facts:
            if fact.event == "agent.thinking":
                self.calls = {}
            elif fact.event == "agent.tool_result":
                self.calls[fact.step_id].is_finished = False

    @property
    def open_calls(self) -> list[CallState]:
        return [call for call in self.calls.values() if not call.is_finished]

    @property
    def waiting(self) -> list[CallState]:
        return [call for call in self.calls.values() if call.is_waiting]

    @property
    def is_all_waiting(self) -> bool:
        """Whether the run can only continue once somebody answers."""
        calls = self.open_calls
        return bool(calls) and all(call.is_waiting for call in calls)

    def resume(self) -> Resume:
        return Resume(self.step, tuple(call.as_open() for call in self.open_calls), self.usage)


_OF_USAGE = tuple(each.name for each in fields(Usage))


def usage_of(metadata: Mapping[str, Any]) -> Usage:
    """The usage in the metadata of an `agent.thinking`."""
    usage = metadata.get("usage") or {}
    return Usage(*(usage.get(name, 0) for name in _OF_USAGE))


def decision_of(content: Mapping[str, Any]) -> Decision:
    """The decision in the content of a `user.response`."""
    return Decision(content["approved"], content.get("args"), content.get("feedback") or "")


def fold_history(
    entries: Iterable[tuple[str, ChatMessage]], order: Iterable[str], max_tokens: int
) -> History:
    """The memory from `(run_id, message)` in log order, and the runs in order of their start."""
    by_run: dict[str, list[ChatMessage]] = {}
    for run_id, message in entries:
        by_run.setdefault(run_id, []).append(message)
    history = History(max_tokens)
    for run_id in order:
        history.start_turn(run_id)
        for message in by_run.get(run_id, ()):
            history.add(run_id, message)
    return history
