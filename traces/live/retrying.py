"""Asks a database that may be away again, until it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import structlog
from django.db import Error as DatabaseFailure

from agents.runtime.database import DatabaseThreads
from agents.runtime.database_errors import is_passing
from agents.runtime.explaining import explain
from agents.runtime.limits import Seldom

logger = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

RETRY_S = 0.5
"""Seconds after which a database that was away is asked again."""

_failures = Seldom(pause_s=30.0, at_once=2)


async def ask(
    database: DatabaseThreads, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """What the work returns, in the end. Raises what will not pass. Cancelling is safe."""
    while True:
        try:
            return await database.run(work, *args, **kwargs)
        except DatabaseFailure as error:
            if not is_passing(error):
                raise
            if (left_out := _failures.take()) is not None:
                logger.warning("storage_away", error=explain(error), left_out=left_out)
        await asyncio.sleep(RETRY_S)
