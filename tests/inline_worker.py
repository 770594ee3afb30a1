"""A worker's server in a thread of the test's process, behind a Unix socket, and TCP if need be."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from myagent.loading import AgentFile
from myagent.worker.describing import describe
from myagent.worker.listening import Listening
from myagent.worker.loops import run_to_end
from myagent.worker.protocol import AgentInfo
from myagent.worker.server import LinkServer
from myagent.worker.sessions import Source
from myagent.worker.tls import LinkKey

PATIENCE_S = 30


class InlineWorker:
    """`path` is where servers dial it; `call` runs a function on its loop, from any thread.

    With a `key` it listens on TCP too, at `port` of the loopback.
    """

    def __init__(
        self,
        path: Path,
        source: Source,
        info: AgentInfo,
        instance_id: str,
        key: LinkKey | None = None,
        **options: Any,
    ) -> None:
        self.path = path
        self.instance_id = instance_id
        self.server: LinkServer
        self.end: str | None = None
        """Why it ended: `drained`, `orphaned`, or None for as long as it was told to stop."""
        self.port = 0
        self._far = Listening(address=("127.0.0.1", 0), key=key) if key else Listening()
        if self._far.tcp is not None:
            self.port = self._far.tcp.socket.getsockname()[1]
        self._source = source
        self._info = info
        self._options = options
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, name="inline worker", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S), "the worker does not start"

    def stop(self) -> None:
        """Cancels what runs and waits for the thread. May be called twice."""
        if self._thread.is_alive():
            self.call(self._stop.set)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "agent code blocks the worker's loop"

    def drain(self) -> None:
        self.call(self.server.drain)

    def join(self) -> str | None:
        """Waits until it has ended by itself; says why it did."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the worker does not end"
        return self.end

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        self._loop.call_soon_threadsafe(function, *args)

    def _work(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            run_to_end(self._loop, self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self.server = LinkServer(self._source, self._info, self.instance_id, **self._options)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.path))
            await self.server.open(listening, self._far.tcp)
            self._ready.set()
            ends = asyncio.create_task(self.server.until_end())
            stops = asyncio.create_task(self._stop.wait())
            await asyncio.wait({ends, stops}, return_when=asyncio.FIRST_COMPLETED)
            if ends.done():
                self.end = ends.result()
            ends.cancel()
            stops.cancel()
            await self.server.close()
        self._far.close()


@contextmanager
def inline_worker(
    source: AgentFile | Source,
    *,
    info: AgentInfo | None = None,
    instance_id: str = "inline",
    **options: Any,
) -> Iterator[InlineWorker]:
    """A worker whose agents come from a loaded file, or from an async function that makes one.

    `options` are those of `InlineWorker` and `LinkServer`. What it says of its agent is `info`,
    else the file's own agent described, else little more than a name.
    """
    create = source.create if isinstance(source, AgentFile) else source
    # The path of a Unix socket may have 107 bytes only.
    with tempfile.TemporaryDirectory(prefix="w") as folder:
        path = Path(folder) / "s"
        worker = InlineWorker(path, create, info or _info(source), instance_id, **options)
        worker.start()
        try:
            yield worker
        finally:
            worker.stop()


def _info(source: AgentFile | Source) -> AgentInfo:
    if not isinstance(source, AgentFile):
        return AgentInfo("inline")
    if source.is_factory:
        return AgentInfo(source.agent_name)
    return describe(source.source, source.agent_name)
