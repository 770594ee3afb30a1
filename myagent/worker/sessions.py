"""A worker's state of each session: its agent, its run, and which runs are too old to start."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from myagent.runnable import Runnable
from myagent.worker.histories import Histories
from myagent.worker.protocol import NeedHistory, RunKey, Start, Stopped
from myagent.worker.runs import Outlet, Run

MAX_SESSIONS = 10_000
"""Number of sessions whose agent is kept; the one idle longest is removed first.

Servers forget theirs long before.
"""

MAX_FENCES = 50_000
"""Number of former sessions of which the newest run is still known."""

NOTHING_SEEN = (-1, -1)

logger = logging.getLogger(__name__)

Age = tuple[int, int]
Source = Callable[[], Awaitable[Runnable]]
"""Makes an agent for one session."""


@dataclass(slots=True, eq=False)
class _Session:
    """`runs` are those not over yet; all but the last were asked to stop.

    `is_forgotten`: it is here only until they are over, for the next run to wait for.
    """

    newest: Age = NOTHING_SEEN
    agent: Runnable | None = None
    is_forgotten: bool = False
    runs: list[Run] = field(default_factory=list)


class Sessions:
    """Its methods belong to the loop."""

    def __init__(self, source: Source) -> None:
        self.is_draining = False
        self.abandoned: set[Run] = set()
        """Runs whose code goes on although it was cancelled, and nobody waits for it any more."""
        self._source = source
        self._histories = Histories()
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._fences: OrderedDict[str, Age] = OrderedDict()
        self._runs: set[Run] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._moved = asyncio.Event()

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def running(self) -> int:
        return len(self._runs)

    def find(self, key: RunKey) -> Run | None:
        """The run with this key, if it is its session's present one."""
        session = self._sessions.get(key.session_id)
        run = session.runs[-1] if session is not None and session.runs else None
        return run if run is not None and run.key == key else None

    def start(self, start: Start, outlet: Outlet) -> None:
        """Starts a run, or says why not. A newer run ends the older ones of its session first."""
        key = start.key
        if key.age <= self._newest(key.session_id):
            outlet.send(Stopped(key, "superseded"))
            return
        session = self._session(key.session_id)
        for older in session.runs:
            older.supersede()
        session.newest = key.age
        if self.is_draining:
            outlet.send(Stopped(key, "draining"))
            return
        history = self._histories.take(start)
        if history is None:
            # The same run comes again, with its history: only what is older is refused.
            session.newest = (key.epoch, key.attempt - 1)
            outlet.send(NeedHistory(key))
            return
        run = Run(start, history, outlet, lambda: self._agent(session, run), self._on_over)
        run.begin(after=session.runs)
        session.runs.append(run)
        self._runs.add(run)
        self._tasks.add(run.task)
        run.task.add_done_callback(self._tasks.discard)

    def forget(self, session_id: str, epoch: int) -> None:
        """Drops the session; whoever says so from an older epoch is not its owner any more."""
        newest = self._newest(session_id)
        if epoch < newest[0]:
            return
        newest = max(newest, (epoch, -1))
        self._histories.drop(session_id)
        session = self._sessions.get(session_id)
        if session is None:
            self._fence(session_id, newest)
            return
        session.newest, session.agent, session.is_forgotten = newest, None, True
        for run in list(session.runs):
            run.cancel()
        self._drop_if_done(session_id, session)

    def drain(self) -> None:
        """No new runs; those that only wait for somebody's yes are left to other workers."""
        self.is_draining = True
        for run in list(self._runs):
            run.drain()

    async def drained(self, grace_s: float) -> None:
        """Returns when no run is under way, and their code has had `grace_s` to tidy up."""
        while self._runs:
            self._moved.clear()
            await self._moved.wait()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)

    async def stop(self, grace_s: float) -> None:
        """Cancels everything, and waits so long for it."""
        for run in list(self._runs):
            run.leave()
        await self.drained(grace_s)

    # Inside.

    async def _agent(self, session: _Session, run: Run) -> Runnable:
        # Runs of one session never overlap here, but for those that were abandoned.
        if session.agent is not None:
            return session.agent
        agent = await self._source()
        if not (run.is_abandoned or session.is_forgotten):
            session.agent = agent
        return agent

    def _on_over(self, run: Run) -> None:
        self._runs.discard(run)
        self._moved.set()
        session = self._sessions.get(run.key.session_id)
        if session is not None and run in session.runs:
            session.runs.remove(run)
            if run.is_abandoned:
                # Its code still uses the agent: the next run gets another.
                session.agent = None
            self._drop_if_done(run.key.session_id, session)
        if run.is_abandoned:
            self.abandoned.add(run)
            run.task.add_done_callback(lambda _: self.abandoned.discard(run))

    def _drop_if_done(self, session_id: str, session: _Session) -> None:
        if session.is_forgotten and not session.runs:
            del self._sessions[session_id]
            self._fence(session_id, session.newest)

    def _newest(self, session_id: str) -> Age:
        session = self._sessions.get(session_id)
        return session.newest if session else self._fences.get(session_id, NOTHING_SEEN)

    def _session(self, session_id: str) -> _Session:
        session = self._sessions.get(session_id)
        if session is None:
            self._make_room()
            self._fences.pop(session_id, None)
            session = self._sessions[session_id] = _Session()
        session.is_forgotten = False
        self._sessions.move_to_end(session_id)
        return session

    def _make_room(self) -> None:
        if len(self._sessions) < MAX_SESSIONS:
            return
        idle = next((id_ for id_, session in self._sessions.items() if not session.runs), None)
        if idle is not None:
            logger.warning("session_dropped session_id=%s", idle)
            self.forget(idle, self._sessions[idle].newest[0])

    def _fence(self, session_id: str, newest: Age) -> None:
        self._fences[session_id] = newest
        self._fences.move_to_end(session_id)
        if len(self._fences) > MAX_FENCES:
            self._fences.popitem(last=False)
