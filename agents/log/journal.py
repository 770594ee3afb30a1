"""The only writer of the log: one thread, group commit, patient with the database.

While a batch commits, the next gathers; there is no timer, so an idle system
commits at once and a busy one batches by itself.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from django.db import Error as DatabaseFailure

from agents import metrics
from agents.log import barriers, counting
from agents.log.commit import Batch, find_duplicate
from agents.log.entry import Logged
from agents.log.recorders import Recorder
from agents.log.writes import Write
from agents.runtime.database import drop_connection, note_failure
from agents.runtime.database_errors import is_passing
from agents.runtime.explaining import explain

logger = structlog.get_logger(__name__)

MAX_BATCH = 256
"""Writes in one transaction."""

MAX_BACKLOG = 5_000
"""With more writes than this pending, no new messages are accepted."""

HANGS_AFTER_S = 5.0
"""Seconds that a commit may take before the database counts as away."""

STOP_S = 10.0
"""Seconds that a stop waits for the database to take what was appended."""

FIRST_RETRY_S = 0.05
LAST_RETRY_S = 2.0

Outcome = list[Logged] | Exception
Done = Callable[[Outcome], None]


class JournalStopped(Exception):
    """The process is stopping. Only the log can tell whether the write was committed."""


class RowRefused(Exception):
    """The database can't store this write, ever. It was logged with its cause."""


class Journal:
    """Writes to the log in the order in which `append` was called.

    Each `done` is called once on the event loop, in that same order, with the
    entries as logged, or with the reason why nothing was written:
    `WriteRefused`, `RowRefused` or `JournalStopped`. A database that is away
    only delays it. `recorder_failures`: how often one of `recorders` failed.
    """

    def __init__(self, recorders: Sequence[Recorder] = ()) -> None:
        self.recorder_failures = 0
        self._recorders = recorders
        self._queue: queue.SimpleQueue[tuple[Write, Done] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._backlog = 0
        self.answered_at = -float("inf")
        """When the database last took a batch, by `time.monotonic`."""
        self._is_out = False
        self._commit_began_at: float | None = None
        self._is_waiting = True
        self._moved_at = 0.0

    def start(self) -> None:
        """Starts the thread; does nothing if it runs already."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._thread.start()

    async def stop(self) -> None:
        """Writes what was appended, unless the database is away; may be called twice.

        A database that hangs is waited for no longer than `STOP_S`. Cancelling
        is safe: it goes on, and the next call waits for it.
        """
        if self._loop is None:
            return
        self._queue.put(None)
        if self._is_out:
            self._stopping.set()
        await asyncio.to_thread(self._thread.join, STOP_S)
        self._stopping.set()
        if self._thread.is_alive():
            logger.warning("writes_left_unanswered", writes=self._backlog)

    @property
    def is_available(self) -> bool:
        """Whether new messages may be accepted: the database answers and keeps up."""
        began = self._commit_began_at
        hangs = began is not None and time.monotonic() - began > HANGS_AFTER_S
        return not self._is_out and not hangs and self._backlog < MAX_BACKLOG

    @property
    def backlog(self) -> int:
        """Writes whose outcome has not been told yet."""
        return self._backlog

    @property
    def moved_at(self) -> float:
        """When its thread last made progress, by `time.monotonic`.

        Waiting for work counts as progress, and so does waiting for the database: another process
        would have to wait for the database as well.
        """
        return time.monotonic() if self._is_waiting else self._moved_at

    def append(self, write: Write, done: Done) -> None:
        """Queues a write. Call it on the event loop."""
        self._backlog += 1
        self._queue.put((write, done))

    async def write(self, write: Write) -> list[Logged]:
        """Appends and waits. Cancelling is safe: the write goes on. Raises as `append` tells."""
        future: asyncio.Future[list[Logged]] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if future.cancelled():
                return
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self.append(write, done)
        return await future

    def _work(self) -> None:
        try:
            while (batch := self._gather()) is not None:
                self._commit_began_at = time.monotonic()
                outcomes = self._commit([write for write, _ in batch])
                took_s = time.monotonic() - self._commit_began_at
                self._commit_began_at = None
                self._report([done for _, done in batch], outcomes)
                counting.count_commit(took_s, _committed(batch, outcomes))
        finally:
            drop_connection()

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self._is_waiting = True
        try:
            yield
        finally:
            self._moved_at = time.monotonic()
            self._is_waiting = False

    def _gather(self) -> list[tuple[Write, Done]] | None:
        with self._waiting():
            first = self._queue.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                self._queue.put(None)
                break
            batch.append(item)
        return batch

    def _report(self, dones: list[Done], outcomes: list[Outcome]) -> None:
        assert self._loop is not None

        def deliver() -> None:
            self._backlog -= len(dones)
            for done, outcome in zip(dones, outcomes, strict=True):
                try:
                    done(outcome)
                except Exception:
                    logger.exception("journal_callback_failed")

        try:
            self._loop.call_soon_threadsafe(deliver)
        except RuntimeError:
            logger.warning("journal_outlived_its_loop", writes=len(dones))

    def _commit(self, writes: list[Write]) -> list[Any]:
        """The outcome of each write."""
        batch = Batch(writes, self._recorders)
        try:
            return list(self._try_until_answered(batch))
        except JournalStopped as error:
            return [error] * len(writes)
        except DatabaseFailure as error:
            if len(writes) == 1:
                return [self._refusal(writes[0], error)]
        except Exception:
            if len(writes) == 1:
                logger.exception("write_failed", session_id=writes[0].session_id)
                return [RowRefused()]
        # One bad row must not fail its whole batch: the batch is halved until the row is found.
        middle = len(writes) // 2
        return [*self._commit(writes[:middle]), *self._commit(writes[middle:])]

    def _try_until_answered(self, batch: Batch) -> list[Any]:
        delay_s = FIRST_RETRY_S
        is_unknown = False
        while True:
            try:
                barriers.reach("before", batch.writes)
                with self._waiting():
                    results = (batch.find_committed() if is_unknown else None) or batch.commit()
                barriers.reach("after", batch.writes)
                self.recorder_failures += batch.recorder_failures
                metrics.RECORDER_FAILURES.inc(batch.recorder_failures)
                if self._is_out:
                    logger.info("storage_back")
                self._is_out = False
                self.answered_at = time.monotonic()
                return results
            except DatabaseFailure as error:
                note_failure(error)
                drop_connection()
                if not is_passing(error):
                    raise
                is_unknown = is_unknown or bool(batch.planned)
                logger.warning("storage_away", error=explain(error), writes=len(batch.writes))
            # A connection that had been idle too long is no outage: the next try tells.
            self._is_out = delay_s > FIRST_RETRY_S
            with self._waiting():
                is_stopping = self._stopping.wait(delay_s)
            if is_stopping:
                raise JournalStopped
            delay_s = min(delay_s * 2, LAST_RETRY_S)

    def _refusal(self, write: Write, error: Exception) -> Exception:
        try:
            with self._waiting():
                duplicate = find_duplicate(write)
        except DatabaseFailure:
            duplicate = None
        if duplicate is not None:
            return duplicate
        logger.error("row_refused", session_id=write.session_id, error=explain(error))
        return RowRefused()


def _committed(batch: list[tuple[Write, Done]], outcomes: list[Outcome]) -> list[Write]:
    pairs = zip(batch, outcomes, strict=True)
    return [write for (write, _), outcome in pairs if isinstance(outcome, list)]
