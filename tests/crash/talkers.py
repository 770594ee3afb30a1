"""Clients that talk while the storage is away, and what they must have been told."""

from __future__ import annotations

import asyncio

from tests.crash.witness import Witness, assert_promises, read_log
from tests.recording import TERMINAL, Frame, Recorder

TURNS = 12
WARM_TURNS = 3


class Talker:
    """A client that has so many turns, one after the other, and sends again what was refused."""

    def __init__(self, witness: Witness, name: str) -> None:
        self.witness = witness
        self.name = name
        self.acknowledged: list[str] = []
        self.turn = 0
        self.is_warm = asyncio.Event()

    async def talk(self, turns: int) -> None:
        for _ in range(turns):
            self.turn += 1
            await self._turn(f"{self.name}-{self.turn}")
            if self.turn == WARM_TURNS:
                self.is_warm.set()

    async def _turn(self, message_id: str) -> None:
        await self.witness.say(f"hello {message_id}", message_id=message_id)
        while True:
            frame = await self.witness.recorder.receive()
            if is_refusal(frame):
                await asyncio.sleep(0.05)  # A client's own pause before it tries again.
                await self.witness.say(f"hello {message_id}", message_id=message_id)
            elif frame["event"] == "user.message":
                self.acknowledged.append(frame["metadata"]["message_id"])
            elif frame["event"] in TERMINAL and frame["metadata"]["message_id"] == message_id:
                return


def is_refusal(frame: Frame) -> bool:
    if frame["event"] != "system.error":
        return False
    assert frame["metadata"]["code"] == "storage_unavailable"
    assert frame["metadata"]["retryable"]
    return True


def assert_nothing_was_lost(database_url: str, talkers: list[Talker]) -> None:
    for talker in talkers:
        session_id = talker.witness.session_id
        log = read_log(database_url, session_id)
        kept = {e["metadata"]["message_id"] for e in log if e["event"] == "user.message"}
        assert set(talker.acknowledged) <= kept
        assert len(kept) == talker.turn
        assert_promises(database_url, session_id, talker.witness)


async def until_refused(url: str) -> None:
    """Asks for sessions until one is refused. Those asked for before wait for the storage."""
    async with await Recorder.open(url) as recorder, asyncio.TaskGroup() as tasks:

        async def ask() -> None:
            while True:
                await recorder.send("user.create_session")
                await asyncio.sleep(0.02)

        asking = tasks.create_task(ask())
        assert is_refusal(await recorder.until("system.error"))
        asking.cancel()


async def assert_refused(recorder: Recorder, known_session: str) -> None:
    """What a client hears that comes while the database is away."""
    await recorder.send("user.create_session")
    assert is_refusal(await recorder.until("system.error"))
    unknown = "00000000-0000-4000-8000-000000000000"
    await recorder.send("user.reconnect", unknown, metadata={"last_seq": 0})
    assert is_refusal(await recorder.until("system.error"))
    for message_id in ("a new one", "t0-1"):
        await recorder.say(known_session, "hello", message_id=message_id)
        refusal = await recorder.until("system.error")
        assert is_refusal(refusal)
        assert refusal["metadata"]["message_id"] == message_id
