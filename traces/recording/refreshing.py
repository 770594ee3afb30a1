"""Keeps the recorder's prices as the database has them."""

from __future__ import annotations

from agents.chores import Chore
from agents.log import recorders
from agents.runtime.database import DatabaseThreads
from traces.recording import prices
from traces.recording.recorder import TraceRecorder

REFRESH_S = 10.0
"""Seconds after which a changed price holds, at most."""


def recorder() -> TraceRecorder | None:
    """This process's recorder; None where traces are not recorded."""
    found = (each for each in recorders.configured() if isinstance(each, TraceRecorder))
    return next(found, None)


async def _refresh(database: DatabaseThreads) -> None:
    present = recorder()
    if present is not None:
        present.prices = await database.run(prices.load)


PRICES = Chore(REFRESH_S, _refresh)
