"""Sockets that say anything, in any order: each is answered or closed, and forgotten."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from typing import Any, get_args

import pytest
from websockets.exceptions import ConnectionClosed

from myagent.protocol import CloseCode, ErrorCode
from tests.attacks.plain_health import connections_at
from tests.databases import fresh_database
from tests.fuzz.mutating import mutated
from tests.fuzz.targets import SEEDS
from tests.recording import NOBODYS, PATIENCE_S, TERMINAL, Recorder
from tests.runners import ROOT, Runner

AGENT = ROOT / "examples" / "echo_agent.py"
SOCKETS, FRAMES = 8, 60
CODES = {value for name, value in vars(CloseCode).items() if name.isupper()}
LEVEL = re.compile(r'"level": "(error|critical)"|\[(error|critical) *\]')

DIALECTS = {"": "events", "ws/chat/somebody": "chat", "ws/label": "trace"}


class AnySocket:
    """One client; what it says follows from its seed alone, and from the ids that it is told."""

    def __init__(self, url: str, path: str, seed: int) -> None:
        self._url, self._path = url + path, path
        self._chance = random.Random(seed)
        self._sessions = [NOBODYS]
        self.heard: Counter[str] = Counter()
        self.close_code: int | None = None
        self.problems: set[str] = set()

    async def talk(self) -> None:
        async with await Recorder.dial(self._url) as client:
            reading = asyncio.get_running_loop().create_task(self._read(client))
            try:
                for _ in range(FRAMES):
                    await client.send_raw(self._next())
                    if self._chance.random() < 0.3:
                        await asyncio.sleep(0)
            except ConnectionClosed:
                pass  # The reader knows why.
            if self._chance.random() < 0.2:
                client.drop()
            else:
                await client.socket.close()
            await reading

    async def _read(self, client: Recorder) -> None:
        try:
            while True:
                self._hear(json.loads(await client.socket.recv()))
        except ConnectionClosed as error:
            self.close_code = None if error.rcvd is None else error.rcvd.code

    def _hear(self, frame: dict[str, Any]) -> None:
        kind = frame.get("event") or frame.get("type") or frame.get("event_type")
        assert isinstance(kind, str), frame
        self.heard[kind] += 1
        if kind == "agent.session_created":
            self._sessions.append(frame["session_id"])
        if kind == "system.error":
            self.problems.add(frame["metadata"]["code"])
            assert frame["content"] and "Traceback" not in frame["content"]

    def _next(self) -> str | bytes:
        chance = self._chance
        if chance.random() < 0.05:
            return chance.choice(["", "{", "[]", "null", b"\x00", "NaN", '{"event": 1}'])
        frame = chance.choice(SEEDS[DIALECTS[self._path]])
        if chance.random() < 0.5:
            frame = mutated(frame, chance.randrange(2**32))
        text = frame.decode("utf-8", "replace")
        return text.replace('"session_id": "a"', f'"session_id": "{chance.choice(self._sessions)}"')


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Without a rate, which would refuse most of it; idle sessions leave memory soon."""
    folder = tmp_path_factory.mktemp("any")
    env = {"MYAGENT_MESSAGES_PER_SECOND": "0", "MYAGENT_SESSION_TIMEOUT_S": "1"}
    with fresh_database(folder) as url, Runner(AGENT, url, folder, env=env) as runner:
        yield runner


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
async def test_whatever_sockets_say_they_are_answered_and_forgotten(
    runner: Runner, path: str, seed: int
) -> None:
    sockets = [AnySocket(runner.url, path, seed * 1000 + number) for number in range(SOCKETS)]
    async with asyncio.timeout(3 * PATIENCE_S):
        await asyncio.gather(*(socket.talk() for socket in sockets))
    assert sum((socket.heard for socket in sockets), Counter()).total() > SOCKETS
    for socket in sockets:
        assert socket.close_code in {None, *CODES}, socket.close_code
        assert socket.problems <= set(get_args(ErrorCode))
    # Another client is served as ever, and of the others nothing is left.
    async with await Recorder.open(runner.url) as client:
        answer = await client.ask(await client.create_session(), "hello")
        assert answer["event"] in TERMINAL
    async with asyncio.timeout(PATIENCE_S):
        while await asyncio.to_thread(connections_at, runner.port) != (0, 0):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    log = "".join(runner.log)
    assert "Traceback" not in log and not LEVEL.search(log), log[-4000:]
    assert "was never" not in log
