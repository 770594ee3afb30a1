"""How the services stand, for somebody who does not wait long: a database may be silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import structlog
from prometheus_client import Metric

from agents.runtime.database import drop_connection
from services.metrics.standing import Standing, database_up

logger = structlog.get_logger(__name__)

ANSWERS_S = 3.0
"""Seconds after which a database that has not answered counts as away: well within the ten for
which Prometheus waits, as a server that it has no answer from counts as down.
"""


class PatientStanding(Standing):
    """The same, without waiting for a database that is silent. Any thread may ask.

    One question at a time is asked; who comes meanwhile gets its answer as well. After one that
    took too long nobody waits, until one was answered in time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._question: _Question | None = None

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if self._question is None or self._question.is_over:
                was_silent = self._question is not None and self._question.took_too_long
                self._question = _Question(0.0 if was_silent else ANSWERS_S)
            question = self._question
        yield from question.answer()


class _Question:
    """Asked in a thread of its own, which has a connection of its own for that long.

    Nobody waits for the thread when the process ends; a connection's time-outs end it.
    """

    def __init__(self, patience_s: float) -> None:
        """`patience_s`: for how long those who ask wait for the answer."""
        self._began = time.monotonic()
        self._patience_s = patience_s
        self._took_s = 0.0
        self._found: list[Metric] = []
        self._is_over = threading.Event()
        threading.Thread(target=self._ask, name="standing", daemon=True).start()

    @property
    def is_over(self) -> bool:
        return self._is_over.is_set()

    @property
    def took_too_long(self) -> bool:
        """Once it is over."""
        return self._took_s > ANSWERS_S

    def answer(self) -> list[Metric]:
        """Waits for what is left of the patience."""
        self._is_over.wait(max(0.0, self._began + self._patience_s - time.monotonic()))
        return self._found or [database_up(False)]

    def _ask(self) -> None:
        try:
            self._found = list(Standing().collect())
        except Exception:
            logger.exception("standing_not_read")
        finally:
            drop_connection()
            self._took_s = time.monotonic() - self._began
            self._is_over.set()
