"""A server process, as its parent has it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence

from services.serving.words import READY
from services.supervision.supervisor_start import environment


class Child:
    """One server process; `start` makes it."""

    def __init__(
        self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.pid = process.pid
        self.is_ready = False
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, command: Sequence[str], listener: socket.socket) -> Child:
        """The command gets the descriptors of the listener and of its own end. Raises `OSError`.

        It has no terminal: Ctrl-C is for its parent alone.
        """
        # The parent may close its own descriptor meanwhile.
        with listener.dup() as shared:
            ours, theirs = socket.socketpair()
            with theirs:
                reader, writer = await asyncio.open_unix_connection(sock=ours)
                try:
                    process = await asyncio.create_subprocess_exec(
                        *command,
                        f"--listener-fd={shared.fileno()}",
                        f"--parent-fd={theirs.fileno()}",
                        stdin=DEVNULL,
                        pass_fds=[shared.fileno(), theirs.fileno()],
                        env=environment(),
                        start_new_session=True,
                    )
                except BaseException:
                    writer.close()
                    raise
        return cls(process, reader, writer)

    async def becomes_ready(self) -> bool:
        """False if it ends before. Cancelling is safe."""
        with contextlib.suppress(OSError):
            self.is_ready = await self._reader.readline() == READY
        return self.is_ready

    def tell(self, line: bytes) -> None:
        """One of `words`. Does nothing if it has ended."""
        if not self._writer.is_closing():
            self._writer.write(line)

    async def ended(self) -> str:
        """How it ended, in words of the system. Cancelling is safe."""
        status = await self._process.wait()
        self._writer.close()
        return f"status {status}" if status >= 0 else signal.Signals(-status).name

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
