"""`--reload`: a changed file takes over under open sockets, and takes nothing from a turn."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.crash.conftest import Site
from tests.crash.witness import Witness, assert_promises, until
from tests.crash.workers import kill_worker, until_gone, worker_of, workers_of
from tests.recording import PATIENCE_S, TERMINAL

AGENT = """
import asyncio
from pathlib import Path

FOLDER = Path(__file__).parent

async def agent(text):
    if text == "wait":
        (FOLDER / "waits").touch()
        while not (FOLDER / "gate").exists():
            await asyncio.sleep(0.01)
    return "{word}"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "agent"
    folder.mkdir()
    file = folder / "changing.py"
    change(file, "one")
    return file


def change(file: Path, word: str) -> None:
    write(file, AGENT.format(word=word))


def write(file: Path, code: str) -> None:
    file.write_text(code)


def break_off(file: Path) -> None:
    write(file, "async def agent(text:\n")


async def until_answered(witness: Witness, word: str) -> None:
    """Asks until a worker with the changed file has taken over."""
    async with asyncio.timeout(PATIENCE_S):
        while (await witness.recorder.ask(witness.session_id, "hi"))["content"] != word:
            pass


def answers(witness: Witness) -> list[str]:
    return [frame["content"] for frame in witness.durable if frame["event"] in TERMINAL]


async def test_a_running_turn_finishes_where_it_began_while_ever_newer_files_take_over(
    site: Site, file: Path
) -> None:
    # Longer than the test may take: nothing may have to wait for the turn.
    runner = await site.start(file, "--reload", MYAGENT_SHUTDOWN_GRACE_S="300")
    busy, other = await Witness.arrive(runner.url), await Witness.arrive(runner.url)
    await busy.say("wait")
    await until((file.parent / "waits").exists)
    first = await worker_of(runner)
    change(file, "two")
    await until_answered(other, "two")
    break_off(file)
    await asyncio.to_thread(runner.wait_for_log, "changing.py, line 1: syntax error")
    assert (await other.recorder.ask(other.session_id, "hi"))["content"] == "two"
    change(file, "three")
    await until_answered(other, "three")
    assert first in [worker.pid for worker in workers_of(runner)]
    (file.parent / "gate").touch()
    await busy.until_ended(1)
    assert answers(busy) == ["one"]
    await until_gone(first)
    await until(lambda: len(workers_of(runner)) == 1)
    for witness in (busy, other):
        assert_promises(site.database_url, witness.session_id, witness)
        await witness.leave()
    assert await asyncio.to_thread(runner.stop) == 0


async def test_a_new_worker_that_dies_is_replaced_while_the_old_one_still_finishes_a_turn(
    site: Site, file: Path
) -> None:
    runner = await site.start(file, "--reload", MYAGENT_SHUTDOWN_GRACE_S="300")
    busy, other = await Witness.arrive(runner.url), await Witness.arrive(runner.url)
    await busy.say("wait")
    await until((file.parent / "waits").exists)
    first = await worker_of(runner)
    change(file, "two")
    await until_answered(other, "two")
    await kill_worker(runner, but=first)
    await until_answered(other, "two")
    (file.parent / "gate").touch()
    await busy.until_ended(1)
    assert answers(busy) == ["one"]
    for witness in (busy, other):
        assert_promises(site.database_url, witness.session_id, witness)
        await witness.leave()


HANGS = "import time\ntime.sleep(3600)\n"


async def test_a_file_that_hangs_while_it_loads_gives_way_to_the_next_change(
    site: Site, file: Path
) -> None:
    runner = await site.start(file, "--reload")
    witness = await Witness.arrive(runner.url)
    first = await worker_of(runner)
    for word in ("two", "three"):
        write(file, HANGS)
        await worker_of(runner, but=first)
        assert (await witness.recorder.ask(witness.session_id, "hi"))["content"] != word
        change(file, word)
        await until_answered(witness, word)
        await until(lambda: len(workers_of(runner)) == 1)
        first = await worker_of(runner)
    assert_promises(site.database_url, witness.session_id, witness)
    await witness.leave()
    assert await asyncio.to_thread(runner.stop) == 0


@pytest.mark.parametrize("code", [HANGS, "import os\nos._exit(3)\n", "async def agent(text:\n"])
async def test_a_file_that_can_not_be_served_yet_is_waited_for(
    site: Site, file: Path, code: str
) -> None:
    write(file, code)
    starting = asyncio.create_task(site.start(file, "--reload"))
    await until(lambda: is_loaded_by_somebody(file))
    change(file, "two")
    runner = await starting
    witness = await Witness.arrive(runner.url)
    await until_answered(witness, "two")
    await witness.leave()


def is_loaded_by_somebody(file: Path) -> bool:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = process.cmdline()
            if "myagent.worker" in command and str(file) in command:
                return True
    return False
