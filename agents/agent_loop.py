"""The event loop on which agents run: a thread of its own.

An agent file is somebody else's code and may block. Sockets, the journal and
the lease never share its loop.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

logger = structlog.get_logger(__name__)

SWITCH_INTERVAL_S = 0.0005
"""How long a thread keeps the interpreter: an agent that computes delays the sockets by this."""

BEAT_S = 0.25
STUCK_AFTER_S = 1.0


class AgentLoop:
    """Starts with `start`, ends with `stop`; `call` may come from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, name="agents", daemon=True)
        self._is_stopping = False
        self._last_beat = time.monotonic()

    def start(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._thread.start()
        self._ready.wait()

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Calls the function on the loop; does nothing once the loop has ended."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            logger.debug("agent_loop_has_ended")

    @property
    def stuck_for_s(self) -> float:
        """Seconds for which agent code has blocked the loop; 0.0 if it has not."""
        silence_s = time.monotonic() - self._last_beat
        return silence_s if silence_s > STUCK_AFTER_S else 0.0

    def stop(self, grace_s: float = 2.0) -> bool:
        """Cancels what runs and ends the loop. False: agent code blocks it, it was abandoned."""
        self._is_stopping = True
        if self._loop is None or not self._thread.is_alive():
            return True
        self.call(self._loop.stop)
        self._thread.join(grace_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._loop.call_soon(self._beat)
            self._ready.set()
            while not self._is_stopping:
                try:
                    self._loop.run_forever()
                except BaseException:
                    # A task of the agent raised SystemExit or KeyboardInterrupt.
                    logger.exception("agent_code_tried_to_end_the_process")

    def _beat(self) -> None:
        assert self._loop is not None
        self._last_beat = time.monotonic()
        self._loop.call_later(BEAT_S, self._beat)
