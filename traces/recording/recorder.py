"""Records what happens inside runs, in the transaction of the log's entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import chain

from django.conf import settings

from agents.log.entry import Logged
from agents.log.recorders import Row
from agents.log.writes import Write
from traces.recording import statements
from traces.recording.prices import PriceList
from traces.recording.writing import Writing


class TraceRecorder:
    """A `Recorder`: a trace for each run, and a span for each of its steps.

    `prices` may be replaced at any time. `listeners` are called, in the journal's thread, whenever
    something was recorded.
    """

    def __init__(self) -> None:
        self.prices = PriceList()
        self.listeners: list[Callable[[], None]] = []
        self._is_on: bool = settings.MYAGENT_TRACING
        self._content: str = settings.MYAGENT_TRACE_CONTENT
        self._is_sent: bool = settings.MYAGENT_TRACE_EXPORT

    @property
    def statements(self) -> Sequence[str]:
        return statements.in_order()

    def record(self, write: Write, logged: Sequence[Logged], at: datetime) -> Iterable[Row]:
        if not self._is_on:
            return ()
        agent = write.facts.agent if write.facts else None
        if agent is not None and not agent.enable_tracing:
            return _forget(write)
        writing = Writing(write, logged, at, self.prices, self._content)
        if not self._is_sent:
            return writing.rows()
        return chain(writing.rows(), writing.waiting())

    def note_committed(self) -> None:
        # They come and go on the event loop meanwhile.
        for listener in tuple(self.listeners):
            listener()


def _forget(write: Write) -> Iterable[Row]:
    """Before its first worker, an agent's file has not said yet that its runs have no trace."""
    for run_id in write.ends:
        yield Row(statements.FORGET_SPANS, (run_id,))
        yield Row(statements.FORGET_TRACE, (run_id,))
