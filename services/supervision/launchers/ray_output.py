"""Copies what jobs print into log files here, where the site's interfaces read logs."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import structlog

from services.supervision.launchers.local import for_its_owner
from services.supervision.launchers.ray_cluster import Cluster, ClusterAway, JobRefused

T = TypeVar("T")

logger = structlog.get_logger(__name__)

LISTENING = re.compile(r"\blistening host='[^']*' port=(\d+)\s")
"""The line with which a worker tells its port, before it loads anything."""

AGAIN_S = 1.0
"""Seconds until output that can't be followed is tried again."""

CALL_S = 5.0
"""Seconds that the thread may take to do what it is told."""


class Copy:
    """One job's output and the file that it is copied to.

    The output is read from its beginning again and again: `begin` says so, `take` gives the pieces.
    How much was copied is in a file beside, for the next process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beside = path.with_name(f"{path.name}.copied")
        self._copied = _number_in(self._beside)
        self._place = 0
        self._head = ""
        self.port: int | None = None
        self.has_ended = False
        """Whether its job will print no more."""

    def begin(self) -> None:
        self._place = 0

    def take(self, text: str) -> None:
        """Raises `OSError`."""
        self._note_port(text)
        new = text[max(0, self._copied - self._place) :]
        self._place += len(text)
        if new:
            add(self._path, new)
            self._copied += len(new)
            self._beside.write_text(str(self._copied), encoding="ascii")

    def _note_port(self, text: str) -> None:
        if self.port is None:
            # A piece may end within the line.
            self._head += text
            if found := LISTENING.search(self._head):
                self.port = int(found[1])
                self._head = ""
            else:
                self._head = self._head[self._head.rfind("\n") + 1 :][-1000:]


def add(path: Path, text: str) -> None:
    """Appends to a log file, making it if there is none. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab", opener=for_its_owner) as file:
        file.write(text.encode("utf-8", "replace"))


def _number_in(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0


class Output:
    """Follows jobs on a thread of its own, from the first `follow` until `close`.

    Its methods belong to one other thread.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._copies: dict[str, tuple[Copy, asyncio.Task[None]]] = {}

    def follow(self, job_id: str, path_of: Callable[[str], Path]) -> None:
        """Copies what the job prints, from now on. May be called again and again.

        `path_of` is asked for the file only once.
        """
        if job_id not in self._copies:
            copy = Copy(path_of(job_id))
            self._copies[job_id] = copy, self._call(self._start(job_id, copy))

    def port_of(self, job_id: str) -> int | None:
        """Where its worker listens, once it has said so."""
        followed = self._copies.get(job_id)
        return None if followed is None else followed[0].port

    def note_end(self, job_id: str) -> None:
        """The job has ended: what it printed is read to its end, and no longer followed."""
        if (followed := self._copies.get(job_id)) is not None:
            followed[0].has_ended = True

    def is_complete(self, job_id: str) -> bool:
        """Whether all that an ended job has printed is copied."""
        followed = self._copies.get(job_id)
        return followed is None or followed[1].done()

    def leave(self, job_id: str) -> None:
        """Stops following a job, if it is followed."""
        if (followed := self._copies.pop(job_id, None)) is not None:
            self._call(_end(followed[1]))

    def close(self) -> None:
        """Stops following; the jobs go on. May be called twice."""
        if self._loop is None or self._thread is None:
            return
        for _, task in self._copies.values():
            self._call(_end(task))
        self._copies.clear()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._loop.run_forever, name="output of Ray jobs", daemon=True
            )
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_S)

    async def _start(self, job_id: str, copy: Copy) -> asyncio.Task[None]:
        return asyncio.create_task(self._copy(job_id, copy))

    async def _copy(self, job_id: str, copy: Copy) -> None:
        """Cancelling is safe."""
        while True:
            # A stream may end before its job does: where the way to the job server is cut, say.
            is_last = copy.has_ended
            try:
                copy.begin()
                async for text in self._cluster.follow(job_id):
                    copy.take(text)
                if is_last:
                    return
            except (ClusterAway, JobRefused, OSError) as error:
                logger.info("output_not_followed", instance_id=job_id, error=str(error))
            except Exception:
                logger.exception("output_not_followed", instance_id=job_id)
            await asyncio.sleep(AGAIN_S)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
