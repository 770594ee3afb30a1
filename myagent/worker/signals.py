"""What signals, a debugger and the end of its server mean for a worker's process."""

from __future__ import annotations

import asyncio
import logging
import os
import pdb
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from myagent.threads import start_quiet

logger = logging.getLogger(__name__)

MAX_EXIT_S = 5.0
"""How long threads and exit handlers of agent code may keep the process."""


def take_signals(drain: Callable[[], object], leave: Callable[[], None] | None = None) -> None:
    """SIGTERM drains; SIGINT is its server's business.

    A second SIGTERM ends the process at once, after a call of `leave`. Without
    `leave` it asks for the same again: supervisors may ask one after the other,
    and who wants an end at once kills. The handlers run even while agent code
    blocks the loop.
    """
    has_come = False

    def terminate(number: int, frame: FrameType | None) -> None:
        nonlocal has_come
        if has_come and leave is not None:
            leave()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        has_come = True
        drain()

    signal.signal(signal.SIGTERM, terminate)
    leave_interrupts_to_server()
    os.register_at_fork(after_in_child=_reset)


def leave_interrupts_to_server() -> None:
    # Not SIG_IGN: children would inherit that.
    signal.signal(signal.SIGINT, _ignore)


def _ignore(number: int, frame: FrameType | None) -> None:
    """In a terminal Ctrl-C comes to the server as well, which decides what it means."""


def _reset() -> None:
    # A forked child that is terminated must not make its parent drain.
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def end_with_parent(descriptor: int, leave: Callable[[], None]) -> None:
    """Ends the process at once when the other end of the pipe is closed.

    A thread waits for that: agent code may block the loop. Where the process
    leads its group, its children go along.
    """
    os.set_inheritable(descriptor, False)

    def watch() -> None:
        while os.read(descriptor, 1):
            pass
        leave()
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(0)

    start_quiet(threading.Thread(target=watch, name="myagent:parent", daemon=True))


def bound_exit(status: int, last: Callable[[], object]) -> None:
    """Gives the process `MAX_EXIT_S` to end by itself; after that `last` is called."""

    def end() -> None:
        logger.warning("ended_by_force reason='threads of agent code run on'")
        last()
        os._exit(status)

    timer = threading.Timer(MAX_EXIT_S, end)
    timer.daemon = True
    timer.start()


def watch_debugger(loop: asyncio.AbstractEventLoop, tell: Callable[[bool], None]) -> None:
    """Calls `tell(True)` before a `breakpoint()` blocks the loop, `tell(False)` after it.

    The prompt comes after the hook has returned, so what says that it is gone
    is that the loop runs again.
    """
    start_debugger = sys.breakpointhook

    def back() -> None:
        # The debugger took them when it let the program go on.
        leave_interrupts_to_server()
        tell(False)

    def hook(*args: Any, header: str | None = None, **options: Any) -> Any:
        chosen = os.environ.get("PYTHONBREAKPOINT", "")
        if chosen != "0" and _is_running(loop):
            tell(True)
            loop.call_soon(back)
        if chosen not in ("", "pdb.set_trace"):
            return start_debugger(*args, **options)
        debugger = pdb.Pdb()
        if header is not None:
            debugger.message(header)
        # Else it would stop in the frame that calls it: this one. Nothing may follow.
        debugger.set_trace(sys._getframe().f_back)
        return None

    sys.breakpointhook = hook


def _is_running(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this is the loop's own thread: code in others blocks nothing."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
