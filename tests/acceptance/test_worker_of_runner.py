"""The worker of a runner: it ends in order, in its place, and speaks in the runner's form."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.managed_site import until
from tests.recording import Recorder
from tests.runners import ROOT, STOP_S, Runner
from tests.terminals import Terminal

from .conftest import Serve

TIDY = """
import asyncio, atexit
from pathlib import Path

FOLDER = Path(__file__).parent
atexit.register((FOLDER / "at exit").touch)
print("the agent's own word")

async def agent(text):
    try:
        (FOLDER / "begun").touch()
        await asyncio.sleep(3600)
    finally:
        (FOLDER / "finally").touch()
"""

STUBBORN = """
import signal, time

async def agent(text):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "agents"
    folder.mkdir()
    return folder


def written(folder: Path, code: str) -> Path:
    file = folder / "small.py"
    file.write_text(code)
    return file


def worker_of(pid: int) -> psutil.Process:
    """The only worker of a runner."""
    found = [one for one in psutil.Process(pid).children() if "myagent.worker" in one.cmdline()]
    assert len(found) == 1, found
    return found[0]


async def begin_run(runner: Runner) -> None:
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        await client.say(session, "hello")
        await client.until("user.message")
        await client.until("agent.thinking", "agent.partial_answer")


async def stop(runner: Runner) -> int:
    return await asyncio.to_thread(runner.stop)


def about(runner: Runner) -> list[dict[str, object]]:
    """The log's lines, each of them an object; those of the agent and the greeting left out."""
    return [json.loads(line) for line in runner.log if line.startswith("{")]


async def test_agent_code_ends_in_order_and_nothing_takes_its_place(
    serve: Serve, folder: Path
) -> None:
    runner = serve(written(folder, TIDY), env={"MYAGENT_SHUTDOWN_GRACE_S": "0.1"})
    worker = worker_of(runner.pid)
    assert os.getpgid(worker.pid) == worker.pid
    await begin_run(runner)
    assert await stop(runner) == 0
    found = sorted(os.listdir(folder))
    assert {"at exit", "begun", "finally"} <= set(found)
    assert not worker.is_running()
    events = [line["event"] for line in about(runner)]
    assert events.count("ready") == 1
    assert not {"worker_ended", "worker_killed", "worker_not_started"} & set(events)


async def test_agent_code_that_does_not_end_is_ended(serve: Serve, folder: Path) -> None:
    runner = serve(written(folder, STUBBORN), env={"MYAGENT_SHUTDOWN_GRACE_S": "0.1"})
    worker = worker_of(runner.pid)
    await begin_run(runner)
    assert await stop(runner) == 0
    assert not worker.is_running()
    assert "worker_killed" in [line["event"] for line in about(runner)]


async def test_a_runner_and_its_worker_write_one_form_of_log(serve: Serve, folder: Path) -> None:
    runner = serve(written(folder, TIDY))
    pid = worker_of(runner.pid).pid
    assert await stop(runner) == 0
    plain = [line for line in runner.log if not line.startswith("{")]
    told = (line for line in plain if line != "the agent's own word\n")
    loaded, tools, ready_line, traces, token = told
    assert loaded.startswith("Loaded ") and "is ready at" in ready_line, tools
    assert traces.startswith("Traces: http") and "opened from a file" in token
    assert "the agent's own word\n" in plain
    (ready,) = [line for line in about(runner) if line["event"] == "ready"]
    assert ready["logger"] == "myagent.worker.process"
    assert (ready["pid"], ready["level"]) == (pid, "info")
    ours = next(line for line in about(runner) if line["event"] == "worker_left")
    assert set(ours) - {"service", "pid"} == set(ready) - {"file", "instance", "pid"}


KEYED = """
import os

KEY = os.environ["APP_KEY"]

async def agent(text):
    yield " ".join(os.environ.get(name, "-") for name in ("APP_KEY", "APP_SET", "REDIS_URL"))
"""


async def test_an_agent_has_what_the_file_beside_it_sets_whatever_the_folder(
    serve: Serve, folder: Path
) -> None:
    (folder / ".env").write_text("APP_KEY = beside\nAPP_SET=beside\nREDIS_URL=redis://beside\n")
    runner = serve(written(folder, KEYED), env={"APP_SET": "set"})
    async with await Recorder.open(runner.url) as client:
        end = await client.ask(await client.create_session(), "hello")
    assert end["content"] == "beside set -"


def environment_of(folder: Path) -> dict[str, str]:
    return os.environ | {
        "DATABASE_URL": f"sqlite:///{folder / 'site.db'}",
        "MYAGENT_VAR_DIR": str(folder),
        "MYAGENT_ENV_FILE": os.devnull,
        "SECRET_KEY": "for tests only",
    }


def test_on_a_terminal_the_worker_is_in_the_foreground_and_ctrl_c_ends_it_in_order(
    folder: Path,
) -> None:
    command = [sys.executable, "manage.py", "runagent", str(written(folder, TIDY)), "--port=0"]
    with Terminal(command, ROOT, environment_of(folder)) as terminal:
        terminal.until("is ready at ws://")
        worker = worker_of(terminal.pid)
        assert os.getpgid(worker.pid) == os.getpgid(terminal.pid)
        terminal.interrupt()
        assert terminal.wait() == 0
        assert not worker.is_running()
    assert (folder / "at exit").exists()


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ([], signal.SIGTERM),
        (["--reload"], signal.SIGINT),
        pytest.param([], signal.SIGINT, marks=pytest.mark.long),
        pytest.param(["--reload"], signal.SIGTERM, marks=pytest.mark.long),
    ],
)
def test_a_runner_whose_agent_file_hangs_leaves_in_order(
    folder: Path, options: list[str], number: signal.Signals
) -> None:
    file = written(folder, "print('loading', flush=True)\nimport time\ntime.sleep(3600)\n")
    with subprocess.Popen(
        [sys.executable, "manage.py", "runagent", str(file), "--port=0", *options],
        cwd=ROOT,
        env=environment_of(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as runner:
        assert runner.stdout is not None
        try:
            assert "loading" in runner.stdout.readline()
            worker = worker_of(runner.pid)
            # The database is ready, and it waits for nothing else.
            until(lambda: listens_to_signals(runner.pid))
            runner.send_signal(number)
            assert runner.wait(STOP_S) == 0
            assert not worker.is_running()
            assert "Traceback" not in runner.stdout.read()
        finally:
            runner.kill()


def listens_to_signals(pid: int) -> bool:
    """Whether a process takes SIGTERM: until then it ends by it."""
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)
