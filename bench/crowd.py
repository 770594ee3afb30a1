"""Many clients in a process of their own: they must not share the server's core, nor ours.

`Crowd` starts it and asks for one thing at a time, in lines of JSON.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Self

import orjson

from bench.clients import Client, EchoClient, SessionClient

ROOT = Path(__file__).resolve().parent.parent

A_SOURCE = 2_000
"""Clients that connect from one address: to find a free port takes longer the more are in use."""

SPARE_FILES = 500
"""Files that a process holds open beside its sockets."""


class TooFewFilesError(Exception):
    """So many sockets may not be open in one process. The text says what to do."""


def allow_files(sockets: int) -> None:
    """Lets this process and those that it starts have so many open. Raises `TooFewFilesError`."""
    wanted = sockets + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise TooFewFilesError(
                f"{wanted} open files are needed and {hard} allowed: run it with fewer --clients, "
                f"or raise the limit first (as root: ulimit -Hn {wanted})."
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Crowd:
    """Clients of one server; they leave when the context ends."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.crowd"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def connect(self, kind: str, url: str, clients: int, at_once: int) -> list[float]:
        """So many more, some at once: the seconds that each took to be in a session.

        `kind` is `session` or `echo`; of the latter, until a word came back.
        """
        return self._ask("connect", kind, url, clients, at_once)

    def take_turns(self, turns: int, at_once: int) -> None:
        """Each client takes so many."""
        self._ask("take_turns", turns, at_once)

    def note_places(self) -> None:
        """What comes from now on counts as lost on the way when they `resume`."""
        self._ask("note_places")

    def resume(self, url: str) -> list[float]:
        """All come back at once: the seconds from then until each had its whole log.

        Raises `RuntimeError` if one has seen an entry twice, or not at all.
        """
        return self._ask("resume", url)

    def _ask(self, *question: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(orjson.dumps(question) + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the clients failed at {question}; they said why")
        return orjson.loads(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class _Clients:
    """The other side: what the process does when it is asked. Its methods are the questions."""

    def __init__(self) -> None:
        self._all: list[Client] = []

    async def connect(self, kind: str, url: str, clients: int, at_once: int) -> list[float]:
        numbers = range(len(self._all), len(self._all) + clients)

        async def enter(number: int) -> float:
            source = f"127.0.0.{2 + number // A_SOURCE}"
            began = time.perf_counter()
            client: Client
            if kind == "session":
                client = await SessionClient.open(url, source)
            else:
                client = await EchoClient.open(url, source)
                await client.turn()
            took_s = time.perf_counter() - began
            self._all.append(client)
            return took_s

        return await _some_at_once(enter, numbers, at_once)

    async def take_turns(self, turns: int, at_once: int) -> None:
        async def take(client: Client) -> None:
            for _ in range(turns):
                await client.turn()

        await _some_at_once(take, self._all, at_once)

    async def note_places(self) -> None:
        for client in self._sessions:
            client.note_place()

    async def resume(self, url: str) -> list[float]:
        async def come_back(client: SessionClient) -> float:
            await client.resume(url)
            return time.perf_counter() - began

        began = time.perf_counter()
        return await asyncio.gather(*(come_back(client) for client in self._sessions))

    @property
    def _sessions(self) -> list[SessionClient]:
        return [client for client in self._all if isinstance(client, SessionClient)]


async def _some_at_once(
    work: Callable[[Any], Awaitable[Any]], items: Sequence[Any], at_once: int
) -> list[Any]:
    """The results, in the order in which they came."""
    left = iter(items)
    results: list[Any] = []

    async def go_on() -> None:
        for item in left:
            results.append(await work(item))

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(go_on())
    return results


async def _answer_all() -> None:
    clients = _Clients()
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        name, *arguments = orjson.loads(line)
        answer = await getattr(clients, name)(*arguments)
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    # Its pauses would count as the server's.
    gc.disable()
    import uvloop

    uvloop.run(_answer_all())
