"""Shared by the attacks: many connections that send for a while, and a count of the answers.

An attack is a program, `python -m tests.attacks.NAME KIND PORT SECONDS`. It prints the answers that
it got as JSON: how often each HTTP status or WebSocket close code came, how the connections ended,
and how many bytes it could send.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable

STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
CLOSE = re.compile(rb"\x88.(\x0f.|\x03.|\x11.)", re.DOTALL)
"""The code of a close frame."""

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
ANSWER_S = 5.0
WRITE_S = 0.5
READ_S = 30.0
"""The server cuts a peer off much earlier."""


class Flood:
    """Connections to one port, until `end`."""

    def __init__(self, port: int, seconds: float) -> None:
        self.port = port
        self.end = time.monotonic() + seconds
        self.answers: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()
        self.sent = 0

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.end

    async def keep_up(self, count: int, send: Callable[[Connection], Awaitable[None]]) -> None:
        """Keeps this many connections open; a closed one is replaced by a new one."""

        async def one() -> None:
            while self.goes_on:
                await self._once(send)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(count):
                tasks.create_task(one())

    async def _once(self, send: Callable[[Connection], Awaitable[None]]) -> None:
        with socket.socket() as raw:
            raw.setblocking(False)
            connection = Connection(self, raw)
            try:
                await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", self.port))
                await send(connection)
            except (OSError, TimeoutError):
                await asyncio.sleep(0.01)
            await connection.note_answer()


class Connection:
    """One connection. Received data stays in the system's buffer until the end."""

    def __init__(self, flood: Flood, raw: socket.socket) -> None:
        self.flood = flood
        self._raw = raw
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        """Raises `OSError` once the server has cut it off, `TimeoutError` if it takes no more."""
        async with asyncio.timeout(WRITE_S):
            await self._loop.sock_sendall(self._raw, data)
        self.flood.sent += len(data)

    async def send_on(self, data: bytes) -> None:
        while self.flood.goes_on:
            await self.send(data)

    async def upgrade(self) -> None:
        await self.send(UPGRADE)
        said = b""
        async with asyncio.timeout(ANSWER_S):
            while not said.endswith(b"}"):  # The first frame.
                if not (more := await self._loop.sock_recv(self._raw, 65536)):
                    raise ConnectionResetError
                said += more

    async def note_answer(self) -> None:
        """Notes the server's answer, if there is one."""
        said = b""
        ending = "more"
        try:
            async with asyncio.timeout(READ_S):
                while len(said) < 1_000_000:
                    if not (more := await self._loop.sock_recv(self._raw, 65536)):
                        ending = "end"
                        break
                    said += more
        except (OSError, TimeoutError) as error:
            ending = type(error).__name__
        self.flood.endings[ending] += 1
        self.flood.answers.update(status.decode() for status in STATUS.findall(said))
        self.flood.answers.update(str(int.from_bytes(code, "big")) for code in CLOSE.findall(said))


def run(kinds: dict[str, Callable[[Flood], Awaitable[None]]]) -> None:
    """The program, given its arguments."""
    kind, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    flood = Flood(port, seconds)
    asyncio.run(_carry_out(kinds[kind], flood))
    print(json.dumps({"answers": flood.answers, "endings": flood.endings, "sent": flood.sent}))


async def _carry_out(attack: Callable[[Flood], Awaitable[None]], flood: Flood) -> None:
    await attack(flood)
