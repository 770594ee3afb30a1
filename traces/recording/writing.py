"""The rows of one write to the log. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.log.entry import Entry, Logged
from agents.log.fold import usage_of
from agents.log.recorders import Row
from agents.log.writes import NextAttempt, RunFacts, Write
from agents.models import Run
from myagent.models.base import Usage
from myagent.protocol import MAX_COMMENT, TERMINAL_EVENTS
from traces.content import excerpt, shown_name, shown_text
from traces.models import MAX_EXCERPT, MAX_NAMED, Span, Trace
from traces.recording import spans, statements
from traces.recording.prices import PriceList
from traces.recording.spans import NO_COUNTS, NO_TOKENS, Outcome, Subject, adapted, counts

# As plain texts, see `spans`.
ON = str(Trace.Content.ON)
RUNNING, WAITING = str(Span.Status.RUNNING), str(Span.Status.WAITING)
SUCCESS, ERROR = str(Span.Status.SUCCESS), str(Span.Status.ERROR)
CANCELLED, CUT_OFF = str(Span.Status.CANCELLED), str(Span.Status.CUT_OFF)

STATUS_AT_END: dict[str, str] = {
    Run.Status.FAILED: ERROR,
    Run.Status.TIMED_OUT: ERROR,
    Run.Status.INTERRUPTED: CANCELLED,
}
"""The status of what was under way when a run ended without an answer."""

UNKNOWN_MODEL = "model"
"""What a reply is called if the agent does not say which model it asks."""


@dataclass(slots=True)
class Sums:
    """What a write adds to its run's trace."""

    steps: int = 0
    spans: int = 0
    errors: int = 0
    usage: Usage = NO_TOKENS
    cost_nano: int | None = None

    def values(self) -> tuple[int | None, ...]:
        """In the order of the statements."""
        added = (self.steps, self.spans, self.errors, *counts(self.usage))
        return (*added, self.cost_nano, self.cost_nano)


class Writing:
    """`rows` are those of a write whose entries are `logged`, at the moment `at`."""

    def __init__(
        self,
        write: Write,
        logged: Sequence[Logged],
        at: datetime,
        prices: PriceList,
        content: str,
    ) -> None:
        self._write = write
        self._logged = logged
        self._at = at
        self._moment = adapted(at)
        self._prices = prices
        self._content = content
        facts = write.facts
        self._agent = facts.agent if facts else None
        self._model = self._agent.model if self._agent else ""
        self._present = facts.run if facts else None
        self._runs = {run.run_id: run for run in write.ended}
        if self._present is not None:
            self._runs[self._present.run_id] = self._present
        self._sums: dict[str, Sums] = {}

    def rows(self) -> Iterator[Row]:
        yield from self._beginning()
        for entry, logged in zip(self._write.entries, self._logged, strict=True):
            run = self._runs.get(entry.run_id or "")
            if entry.event == "user.feedback":
                yield self._feedback(entry)
            elif run is not None:
                yield from self._of_entry(entry, logged.seq, run)
        if self._write.continues is not None:
            yield from self._next_attempt(self._write.continues)
        yield from self._next_reply()
        for run_id, status in self._write.ends.items():
            # One that never began has no trace.
            if run_id in self._runs:
                yield from self._end(self._runs[run_id], status)
        for run_id, sums in self._sums.items():
            yield Row(statements.ADD_TO_TRACE, (*sums.values(), run_id))

    def waiting(self) -> Iterator[Row]:
        """The traces that end here are to be sent."""
        moment = adapted(self._at)
        for run_id in self._write.ends:
            if run_id in self._runs:
                yield Row(statements.ADD_WAITING, (run_id, moment, moment, 0, ""))

    # The run's begin.

    def _beginning(self) -> Iterator[Row]:
        new, starts = self._write.new_run, self._write.starts
        if new is not None and new.ordinal is not None:
            entry = self._write.entries[0]
            yield self._start(new.run_id, str(entry.content), entry.metadata.get("traceparent", ""))
        elif starts is not None:
            yield self._start(starts.run_id, starts.message, starts.traceparent)

    def _start(self, run_id: str, question: str, traceparent: str) -> Row:
        facts, agent = self._write.facts, self._agent
        values = (
            run_id,
            self._write.session_id,
            facts.service if facts else "",
            agent.name[:MAX_NAMED] if agent else "",
            self._model[:MAX_NAMED],
            facts.principal if facts else "",
            *(RUNNING, self._content),
            excerpt(question, self._content),
            *("", "", ""),
            agent.max_steps if agent else None,
            *(1, 0, 0, 0, *NO_COUNTS),
            self._moment,
            traceparent,
        )
        return Row(statements.START_TRACE, values)

    # Its steps.

    def _of_entry(self, entry: Entry, seq: int, run: RunFacts) -> Iterator[Row]:
        match entry.event:
            case "agent.thinking":
                yield self._reply(entry, seq, run)
            case "agent.user_confirm":
                tool = self._tool(run, entry.step_id, entry.metadata["tool"])
                yield spans.opened(tool, WAITING, self._moment, seq)
            case "agent.tool_call":
                tool = self._tool(run, entry.step_id, entry.metadata["tool"])
                yield spans.opened(tool, RUNNING, self._moment, seq)
            case "agent.tool_result":
                yield from self._result(entry, seq, run)

    def _reply(self, entry: Entry, seq: int, run: RunFacts) -> Row:
        usage = usage_of(entry.metadata)
        cost_nano = self._prices.cost_nano(self._model, usage, self._at)
        sums = self._sums_of(run)
        sums.steps, sums.spans = 1, sums.spans + 1
        sums.usage, sums.cost_nano = usage, cost_nano
        outcome = Outcome(
            seq,
            entry.metadata["duration_ms"],
            entry.aside.get("first_token_ms"),
            usage,
            cost_nano,
        )
        reply = self._think(run, entry.metadata["step"])
        return spans.ended(reply, SUCCESS, self._at, outcome)

    def _result(self, entry: Entry, seq: int, run: RunFacts) -> Iterator[Row]:
        status = entry.metadata["status"]
        has_failed = status == ERROR
        sums = self._sums_of(run)
        sums.spans += 1
        sums.errors += has_failed
        error = excerpt(str(entry.content), self._content) if has_failed else ""
        outcome = Outcome(seq, entry.metadata["duration_ms"], error=error)
        tool = self._tool(run, entry.step_id, entry.metadata["tool"])
        yield spans.ended(tool, status, self._at, outcome)
        began_at = self._at - timedelta(milliseconds=outcome.duration_ms)
        yield from spans.parts(tool, entry.aside, began_at, self._content)

    def _next_reply(self) -> Iterator[Row]:
        """The model is asked, unless it was asked before this write."""
        run, write = self._present, self._write
        if run is None or run.has_open_calls or run.run_id in write.ends:
            return
        has_begun = write.new_run is not None and write.new_run.run_id == run.run_id
        has_begun |= write.starts is not None or write.continues is not None
        if has_begun or any(
            entry.event == "agent.tool_result" and entry.run_id == run.run_id
            for entry in write.entries
        ):
            yield spans.opened(self._think(run, run.step + 1), RUNNING, self._moment)

    def _think(self, run: RunFacts, step: int) -> Subject:
        return Subject(run, spans.THINK, self._model or UNKNOWN_MODEL, step)

    def _tool(self, run: RunFacts, step_id: str, name: str) -> Subject:
        if self._content != ON and not self._has_tool(name):
            # The model has made it up, of whatever it was told.
            name = shown_name(name, self._content)
        return Subject(run, spans.TOOL, name, run.step, step_id)

    def _has_tool(self, name: str) -> bool:
        tools = self._agent.tools if self._agent else ()
        return any(tool.name == name for tool in tools)

    # Its interruption and its end, and what is said of it then.

    def _next_attempt(self, following: NextAttempt) -> Iterator[Row]:
        run_id, attempt = following.run_id, following.attempt
        cut = (CUT_OFF, self._moment, run_id, attempt)
        yield Row(statements.CUT_SPANS, cut)
        yield Row(statements.CONTINUE_TRACE, (attempt, run_id))
        run = self._runs.get(run_id)
        if run is None:
            return
        for status, calls in (
            (WAITING, following.waiting),
            (RUNNING, following.working),
        ):
            for step_id, tool in calls:
                yield spans.opened(self._tool(run, step_id, tool), status, self._moment)

    def _end(self, run: RunFacts, status: str) -> Iterator[Row]:
        sums = self._sums.pop(run.run_id, Sums())
        entry = next(each for each in self._write.entries if _is_end_of(run, each))
        said = str(entry.content)
        if status == Run.Status.ANSWERED:
            told = (excerpt(said, self._content), "", "")
        else:
            # These sentences are the site's own.
            told = ("", entry.metadata.get("code", ""), said[:MAX_EXCERPT])
            yield from self._end_open_spans(run, STATUS_AT_END[status], said, sums)
        values = (*sums.values(), str(status), self._moment, run.age_ms, *told, run.run_id)
        yield Row(statements.END_TRACE, values)

    def _end_open_spans(
        self, run: RunFacts, status: str, sentence: str, sums: Sums
    ) -> Iterator[Row]:
        error = sentence[:MAX_EXCERPT] if status == ERROR else ""
        values = (status, self._moment, error, run.run_id)
        yield Row(statements.END_SPANS, values)
        if not run.has_open_calls:
            sums.spans += 1
            sums.errors += status == ERROR

    def _feedback(self, entry: Entry) -> Row:
        given = entry.metadata
        comment = shown_text(entry.content or "", self._content)[:MAX_COMMENT]
        values = (given.get("principal", ""), given["score"], comment, adapted(self._at))
        return Row(statements.rate(), (*values, given["run_id"]))

    def _sums_of(self, run: RunFacts) -> Sums:
        return self._sums.setdefault(run.run_id, Sums())


def _is_end_of(run: RunFacts, entry: Entry) -> bool:
    return entry.run_id == run.run_id and entry.event in TERMINAL_EVENTS
