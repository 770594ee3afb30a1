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
from tests.crash.talkers import (
    TURNS,
    Talker,
    assert_nothing_was_lost,
    assert_refused,
    until_refused,
)
from tests.crash.witness import Witness, query
from tests.fake_model import FakeModel
from tests.recording import Recorder
from tests.servers import MariaDB, execute_sql

DISK_BYTES = 8 * 1024 * 1024


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
