"""An event loop that agent code can't end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


def run_to_end(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Result]) -> Result:
    """The work's result. A task of an agent that raises `SystemExit` stops nothing but itself."""
    task = loop.create_task(work)
    while not task.done():
        try:
            loop.run_until_complete(task)
        except BaseException:
            if task.done():
                raise
            logger.exception("agent_code_tried_to_end_the_process")
    return task.result()
