"""Translates the log of one session into the chat dialect: events in, three shapes out. No I/O.

The log is the same for all dialects. This module does what a front end of twenty lines can't: turns
come one after the other, tools in pairs, and text is only ever appended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agents.log.entry import Logged
from agents.runtime.durations import ms_between
from agents.sentences import say
from agents.sockets.chat.step_text import Change, StepText
from myagent.protocol import TERMINAL_EVENTS
from myagent.protocol.chat import Chunk, Failure, ServerFrame, Status

ENDINGS = {
    "agent.final_answer": "answered",
    "agent.error": "failed",
    "agent.interrupted": "interrupted",
    "agent.timeout": "timed_out",
}
"""`data.status` of `completed`."""


@dataclass(slots=True)
class _Turn:
    """The run that is being sent. `run_id` is None if its start was not seen."""

    run_id: str | None
    began_at: datetime | None
    step: int = 0
    text: StepText = field(default_factory=StepText)
    is_silent: bool = False
    """Whether the step is known to have no text besides its tools."""
    asked: dict[str, Any] = field(default_factory=dict)
    calling: set[str] = field(default_factory=set)


class Translation:
    """`done_seq` is the end of the newest turn that the client has whole; grows with each turn.

    `is_return`: the client may hold a part of the next turn and is told to drop
    it. Entries come in the order of the log, from one that is not after the
    acceptance of any message whose end comes after `done_seq`.
    """

    def __init__(self, lang: str, done_seq: int = 0, *, is_return: bool = False) -> None:
        self.done_seq = done_seq
        self._lang = lang
        self._is_return = is_return
        self._turn: _Turn | None = None
        self._waiting: dict[str, Logged] = {}
        self._ended: dict[str, Logged] = {}
        self._session_id = ""
        self._last_end_at: datetime | None = None

    def entry(self, logged: Logged) -> Iterator[ServerFrame]:
        """The frames for the log's next entry. Exhaust the iterator."""
        self._session_id = logged.session_id
        if logged.event == "user.message":
            self._accept(logged)
        elif logged.event in TERMINAL_EVENTS:
            yield from self._end(logged)
        elif logged.seq > self.done_seq and logged.event in _TELLERS:
            yield from self._begin_next()
            yield from self._begin_unseen(None)
            assert self._turn is not None
            yield from _TELLERS[logged.event](self, self._turn, logged)
        if logged.seq >= self.done_seq:
            yield from self._begin_next()

    def text(self, run_id: str, step: int, offset: int, text: str) -> Iterator[ServerFrame]:
        """The frames for partial text. Exhaust the iterator."""
        yield from self._begin_unseen(run_id)
        turn = self._turn
        if turn is not None and turn.run_id in (None, run_id):
            self._enter(turn, step)
            yield from self._changed(turn.text.take(offset, text))

    def step_started(self, step: int) -> Iterator[ServerFrame]:
        """The frames for a model step that starts, perhaps again. Exhaust the iterator."""
        if self._turn is not None:
            if step == self._turn.step:
                yield from self._changed(self._turn.text.restart())
            self._enter(self._turn, step)

    # Turns.

    def _accept(self, logged: Logged) -> None:
        metadata = logged.data["metadata"]
        # Nothing waits in front of the first, and what goes ahead has position 1.
        place = max(0, metadata["position"] - 1)
        waiting = list(self._waiting.items())
        waiting.insert(place, (metadata["run_id"], logged))
        self._waiting = dict(waiting)

    def _begin_next(self) -> Iterator[ServerFrame]:
        """Begins the turn at the head of the queue; those that end without a start, end here."""
        while self._turn is None and self._waiting:
            run_id = next(iter(self._waiting))
            message = self._waiting.pop(run_id)
            accepted_at = message.created_at
            self._turn = _Turn(run_id, max(accepted_at, self._last_end_at or accepted_at))
            yield self._thinking(query=message.data["content"])
            if ended := self._ended.pop(run_id, None):
                yield from self._finish(self._turn, ended)

    def _begin_unseen(self, run_id: str | None) -> Iterator[ServerFrame]:
        """A turn is running whose message this reader has not seen."""
        if self._turn is None:
            self._turn = _Turn(run_id, None)
            yield self._thinking()

    def _end(self, logged: Logged) -> Iterator[ServerFrame]:
        run_id = logged.data["metadata"]["run_id"]
        if logged.seq <= self.done_seq:
            self._waiting.pop(run_id, None)
            return
        yield from self._begin_next()
        if run_id in self._waiting:
            # It is sent when its turn comes: turns are never mixed.
            self._ended[run_id] = logged
        elif self._turn is not None and self._turn.run_id in (None, run_id):
            yield from self._finish(self._turn, logged)

    def _finish(self, turn: _Turn, logged: Logged) -> Iterator[ServerFrame]:
        content = logged.data["content"]
        rest = ""
        if logged.event == "agent.final_answer":
            change = turn.text.settle(content)
            rest = change.text
            if change.is_reset:
                yield self._thinking(reset=True)
        elif logged.event != "agent.interrupted":
            yield Failure(content)
        yield Chunk(rest, is_final=True)
        yield self._completed(turn, logged)
        self._turn = None

    def _completed(self, turn: _Turn, logged: Logged) -> Status:
        self.done_seq = max(self.done_seq, logged.seq)
        self._last_end_at = logged.created_at
        duration_ms = logged.data["metadata"].get("duration_ms")
        if duration_ms is None:
            duration_ms = ms_between(turn.began_at or logged.created_at, logged.created_at)
        return Status(
            "completed",
            {
                "session_id": self._session_id,
                "duration_ms": duration_ms,
                "status": ENDINGS[logged.event],
                "seq": self.done_seq,
            },
        )

    # Steps.

    def _enter(self, turn: _Turn, step: int) -> None:
        if turn.step != step:
            turn.step, turn.text, turn.is_silent = step, StepText(), False

    def _tell_thought(self, turn: _Turn, logged: Logged) -> Iterator[ServerFrame]:
        metadata = logged.data["metadata"]
        self._enter(turn, metadata["step"])
        if "text" in metadata:
            yield from self._changed(turn.text.settle(metadata["text"]))
        else:
            turn.is_silent = True  # Or it is the last, and its text is the answer.

    def _tell_question(self, turn: _Turn, logged: Logged) -> Iterator[ServerFrame]:
        yield from self._leave_text(turn)
        metadata = logged.data["metadata"]
        turn.asked[logged.step_id] = metadata["args"]
        yield self._thinking(
            message=logged.data["content"],
            waiting_for="confirmation",
            tool=metadata["tool"],
            args=metadata["args"],
        )

    def _tell_call(self, turn: _Turn, logged: Logged) -> Iterator[ServerFrame]:
        yield from self._leave_text(turn)
        metadata = logged.data["metadata"]
        if logged.step_id not in turn.calling:
            turn.calling.add(logged.step_id)
            yield self._calling(logged.step_id, metadata["tool"], metadata["args"])

    def _tell_result(self, turn: _Turn, logged: Logged) -> Iterator[ServerFrame]:
        yield from self._leave_text(turn)
        metadata = logged.data["metadata"]
        step_id, tool = logged.step_id, metadata["tool"]
        if step_id not in turn.calling:
            yield self._calling(step_id, tool, turn.asked.get(step_id, {}))
        turn.calling.discard(step_id)
        yield Status(
            "tool_completed", {"tool": tool, "status": metadata["status"], "step_id": step_id}
        )
        # From now on everything belongs to the answer, whatever its step.
        turn.text = StepText()

    def _leave_text(self, turn: _Turn) -> Iterator[ServerFrame]:
        """A tool is next: the step's text is complete."""
        if turn.is_silent:
            turn.is_silent = False
            yield from self._changed(turn.text.settle(""))

    # Frames.

    def _changed(self, change: Change) -> Iterator[ServerFrame]:
        if change.is_reset:
            yield self._thinking(reset=True)
        if change.text:
            yield Chunk(change.text)

    def _thinking(self, **data: Any) -> Status:
        if self._is_return:
            self._is_return = False
            data |= {"reset": True, "resumed": True}
        message = {"message": say(self._lang, "thinking"), "session_id": self._session_id}
        return Status("thinking", message | data)

    def _calling(self, step_id: str, tool: str, args: Any) -> Status:
        return Status("tool_calling", {"tool": tool, "args": args, "step_id": step_id})


_TELLERS = {
    "agent.thinking": Translation._tell_thought,
    "agent.user_confirm": Translation._tell_question,
    "agent.tool_call": Translation._tell_call,
    "agent.tool_result": Translation._tell_result,
}
