"""A database that goes away, or a disk that fills up, costs time and nothing else."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.crash.conftest import Site
from tests.crash.witness import Witness, assert_promises, query, read_log
from tests.fake_model import FakeModel
from tests.recording import TERMINAL, Frame, Recorder
from tests.servers import MariaDB, execute_sql

TURNS = 12
WARM_TURNS = 3
DISK_BYTES = 8 * 1024 * 1024


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


async def test_mariadb_killed_under_load_loses_nothing(
    own_mariadb: MariaDB, tmp_path: Path, fake_model: FakeModel, runners: ExitStack
) -> None:
    execute_sql(own_mariadb.port, "CREATE DATABASE site CHARACTER SET utf8mb4")
    site = Site(own_mariadb.url("site"), tmp_path, fake_model, runners)
    runner = await site.start()
    talkers = [Talker(await Witness.arrive(runner.url), f"t{i}") for i in range(4)]
    late = await Recorder.open(runner.url)
    async with asyncio.TaskGroup() as tasks:
        for talker in talkers:
            tasks.create_task(talker.talk(TURNS))
        await asyncio.gather(*(talker.is_warm.wait() for talker in talkers))
        await asyncio.to_thread(own_mariadb.kill)
        await until_refused(runner.url)
        await assert_refused(late, talkers[0].witness.session_id)
        await asyncio.to_thread(own_mariadb.restart)
    assert_nothing_was_lost(site.database_url, talkers)
    await late.socket.close()
    for talker in talkers:
        await talker.witness.leave()


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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes, mounted for the test alone."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount the small disk that this test fills")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    result = subprocess.run(mount, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip(f"no disk can be mounted here: {result.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that leaves no room for anything else."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


async def test_a_full_disk_is_said_and_loses_nothing(
    small_disk: Path, tmp_path: Path, fake_model: FakeModel, runners: ExitStack
) -> None:
    site = Site(f"sqlite:///{small_disk / 'site.db'}", tmp_path, fake_model, runners)
    runner = await site.start()
    talkers = [Talker(await Witness.arrive(runner.url), f"t{i}") for i in range(3)]
    for talker in talkers:
        await talker.talk(3)
    filler = fill(small_disk)
    async with asyncio.TaskGroup() as tasks:
        for talker in talkers:
            tasks.create_task(talker.talk(TURNS))
        await until_refused(runner.url)
        filler.unlink()
    assert_nothing_was_lost(site.database_url, talkers)
    assert query(site.database_url, "PRAGMA integrity_check") == [("ok",)]
    for talker in talkers:
        await talker.witness.leave()
