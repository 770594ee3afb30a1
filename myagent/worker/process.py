"""A worker's process: runs one agent file for the servers that dial its socket."""

from __future__ import annotations

import asyncio
import atexit
import faulthandler
import logging
import os
import sys
import traceback
from collections.abc import Awaitable, Callable, Set
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from myagent.loading import AgentFile, AgentFileError, load_agent_file
from myagent.runnable import Runnable
from myagent.worker import ORPHAN_AFTER_S, descendants, logs, signals, surroundings
from myagent.worker.codec import encode_said
from myagent.worker.describing import describe
from myagent.worker.endings import sentence_of
from myagent.worker.garbage import little_garbage
from myagent.worker.listening import Listening
from myagent.worker.loops import run_to_end
from myagent.worker.server import LinkServer
from myagent.worker.tls import take_key

EX_CONFIG = 78
"""The exit status when the agent file can't be used: starting it again changes nothing."""

CLOSE_S = 2.0
"""How long what agent code left on the loop may take to end once it is cancelled."""
OOM_SCORE = 500
"""Of 1000: what is short of memory ends the worker, not its server."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """How a worker is started: at least one of `socket`, `listen` and `listen_fd` is given.

    `socket`: the path of a Unix socket; `listen`, `listen_fd`: see `Listening`. `failure`: where
    the reason goes when the file can't be loaded. `parent_fd`: the read end of a pipe that its
    server holds open. `on_terminal`: a person reads its standard error. `log_form`: how its own
    log is written; `log_file`: where it is added as JSON as well.
    """

    file: Path
    instance_id: str
    socket: Path | None = None
    listen: tuple[str, int] | None = None
    listen_fd: int | None = None
    parent_fd: int | None = None
    orphan_after_s: float = ORPHAN_AFTER_S
    failure: Path | None = None
    is_debug: bool = False
    on_terminal: bool = False
    log_form: logs.Form = "lines"
    log_file: str = ""


def run_worker(options: Options) -> int:
    """Serves until it is drained or forgotten; the exit status.

    Raises `OSError` for the socket, and `BadLinkKey`.
    """
    logs.set_up(_level(options), options.log_form, options.log_file)
    _show_crashes()
    _be_first_to_go()
    if options.parent_fd is None:
        # Only under a supervisor: with a server's own worker, child processes may be meant to stay.
        descendants.adopt_orphans()
        _end_descendants_last()
    _write_lines()
    signals.leave_interrupts_to_server()
    with closing(_listening(options)) as listening:
        if options.parent_fd is not None:
            signals.end_with_parent(options.parent_fd, listening.leave)
        status = 1
        try:
            _serve(options, listening)
            status = 0
        except AgentFileError as error:
            _tell_failure(error, options)
            status = EX_CONFIG
        finally:
            listening.leave()
            # Threads that agent code left behind must not keep the process.
            signals.bound_exit(
                status, descendants.end_all if options.parent_fd is None else _nothing
            )
    return status


def _serve(options: Options, listening: Listening) -> None:
    surroundings.enter(options.file)
    # Before the loop runs: files may use one of their own while they are loaded.
    with little_garbage():
        file = load_agent_file(options.file)
        _prepare(file)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        run_to_end(loop, _work(file, options, listening))
    finally:
        _close(loop)


async def _work(file: AgentFile, options: Options, listening: Listening) -> None:
    first = await file.create()
    if file.is_factory:
        _prepare(replace(file, source=first, is_factory=False))
    server = LinkServer(
        _beginning_with(first, file.create),
        describe(first, file.agent_name),
        options.instance_id,
        orphan_after_s=options.orphan_after_s,
    )
    loop = asyncio.get_running_loop()
    signals.take_signals(
        lambda: loop.call_soon_threadsafe(server.drain),
        listening.leave if options.parent_fd is not None else None,
    )
    signals.watch_debugger(loop, lambda is_on: server.tell_debugging(is_on=is_on))
    await server.open(listening.unix, listening.tcp)
    logger.info(
        "ready file=%r instance=%r pid=%d", str(file.path), options.instance_id, os.getpid()
    )
    end = await server.until_end()
    logger.info("leaving reason=%s", end)
    # Who looks for the worker from now on must not find it.
    listening.leave()
    await server.close()


def _beginning_with(
    first: Runnable, create: Callable[[], Awaitable[Runnable]]
) -> Callable[[], Awaitable[Runnable]]:
    """What makes agents; the first one is there already."""
    made = [first]

    async def source() -> Runnable:
        return made.pop() if made else await create()

    return source


def _prepare(file: AgentFile) -> None:
    try:
        file.prepare()
    except Exception:
        # The first question to the model fails for the same reason, and says so to its asker.
        logger.warning("not_prepared file=%r", str(file.path), exc_info=True)


def _listening(options: Options) -> Listening:
    """Raises `OSError` and `BadLinkKey`."""
    listening = Listening(
        options.socket, address=options.listen, descriptor=options.listen_fd, key=take_key()
    )
    if listening.tcp is not None:
        host, port, *_ = listening.tcp.socket.getsockname()
        # A launcher elsewhere learns it from here.
        logger.info("listening host=%r port=%d", host, port)
    return listening


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Ends what agent code left on the loop, in bounded time."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    run_to_end(loop, _settled(tasks))
    run_to_end(loop, _settled({loop.create_task(loop.shutdown_asyncgens())}))
    asyncio.set_event_loop(None)
    loop.close()


async def _settled(tasks: Set[asyncio.Task[Any]]) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=CLOSE_S)


def _tell_failure(error: AgentFileError, options: Options) -> None:
    if options.is_debug:
        traceback.print_exception(error)
    if options.failure is None or options.parent_fd is None:
        # Else its server says so, in the language of the terminal.
        print(error, file=sys.stderr)
    if options.failure is not None:
        beside = options.failure.with_name(f"{options.failure.name}.new")
        beside.write_bytes(encode_said(sentence_of(error)))
        beside.replace(options.failure)


def _level(options: Options) -> int:
    if options.is_debug:
        return logging.DEBUG
    return logging.WARNING if options.on_terminal else logging.INFO


def _be_first_to_go() -> None:
    score = Path("/proc/self/oom_score_adj")
    if not score.exists():
        return
    try:
        if int(score.read_text()) < OOM_SCORE:
            score.write_text(str(OOM_SCORE))
    except (OSError, ValueError) as error:
        logger.info("memory_order_not_set reason=%r", str(error))


def _end_descendants_last() -> None:
    """Registers a handler that runs after those of agent code, which may end them in order."""
    own = os.getpid()

    def end() -> None:
        # A forked child has inherited the handler, but none of the processes.
        if os.getpid() == own:
            descendants.end_all()

    atexit.register(end)


def _show_crashes() -> None:
    """What kills the interpreter, such as a bad extension, leaves Python's traceback in the log."""
    if sys.stderr is not None:
        faulthandler.enable()


def _write_lines() -> None:
    """Writes the agent's output to the log line by line, without delay.

    A character that the terminal or locale lacks never makes a tool fail.
    """
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True, errors="replace")


def _nothing() -> None:
    """Does nothing: what a server's own worker started is not ended with it."""
