"""A worker as a process: how it starts, and everything that ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import sys
from pathlib import Path

import psutil
import pytest

from myagent.steps import Answer, Step
from myagent.worker.codec import decode_said
from myagent.worker.protocol import (
    Accept,
    Debugging,
    Draining,
    Ping,
    Pong,
    Stepping,
    Steps,
    Text,
)
from tests.myagent.worker.dialling import connected, dialled, start
from tests.myagent.worker.processes import ECHO, PATIENCE_S, Launch, WorkerProcess

pytestmark = pytest.mark.processes

WAITING = """
import asyncio

class Agent:
    name = "waiting"

    async def astream(self, text):
        yield "waiting"
        await asyncio.sleep(3600)

agent = Agent()
"""

BLOCKING = """
import time

class Agent:
    async def astream(self, text):
        yield "blocking"
        time.sleep(3600)

agent = Agent()
"""


def answer_of(steps: list[Step]) -> str:
    last = steps[-1]
    assert isinstance(last, Answer)
    return last.text


async def bound(worker: WorkerProcess) -> None:
    """Waits until the socket can be dialled."""
    async with asyncio.timeout(PATIENCE_S):
        # A file system sends no event.
        while not can_be_dialled(worker):
            assert worker.process.poll() is None, worker.said
            await asyncio.sleep(0.005)


def can_be_dialled(worker: WorkerProcess) -> bool:
    with socket.socket(socket.AF_UNIX) as trying:
        return trying.connect_ex(str(worker.path)) == 0


def oom_score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


async def until_taken(pid: int, number: int) -> None:
    """Waits until a signal that was sent is not pending any more."""
    async with asyncio.timeout(PATIENCE_S):
        while psutil.pid_exists(pid) and is_pending(pid, number):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def is_pending(pid: int, number: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (pending,) = (line.split()[1] for line in lines if line.startswith("ShdPnd:"))
    return bool(int(pending, 16) >> (number - 1) & 1)


async def ended(worker: WorkerProcess) -> int:
    return await asyncio.to_thread(worker.wait)


async def hear_line(worker: WorkerProcess, part: str) -> str:
    """The next line of its standard output with this in it."""
    assert worker.process.stdout is not None
    while part not in (line := await asyncio.to_thread(worker.process.stdout.readline)).decode():
        assert line, worker.said
    return line.decode()


# Starting.


async def test_who_dials_while_the_file_is_loaded_waits_for_it(launch: Launch) -> None:
    waits = "input()\n" + ECHO
    worker = launch(waits)
    await bound(worker)
    async with connected(worker.path) as link:
        ready = asyncio.create_task(link.ready())
        assert worker.process.stdin is not None
        worker.process.stdin.write(b"\n")
        worker.process.stdin.flush()
        told = await ready
        assert (told.instance_id, told.pid) == ("i1", worker.process.pid)
        assert (told.agent.name, told.agent.model) == ("echo", "")
        assert answer_of(await link.steps_of(start("hello"))) == "hello"


async def test_only_its_user_may_dial(launch: Launch) -> None:
    worker = launch(ECHO)
    await bound(worker)
    assert stat.S_IMODE(worker.path.stat().st_mode) == 0o600


async def test_a_socket_that_was_left_behind_is_replaced(launch: Launch) -> None:
    first = launch(ECHO)
    await bound(first)
    first.process.kill()
    first.wait()
    assert first.path.exists()
    second = launch(ECHO, "--socket", str(first.path))
    async with asyncio.timeout(PATIENCE_S):
        while "ready" not in second.said:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    async with dialled(first.path) as link:
        assert answer_of(await link.steps_of(start("hello"))) == "hello"


async def test_a_socket_that_can_not_be_made_is_told_in_a_sentence(launch: Launch) -> None:
    worker = launch(ECHO, "--socket", "/nowhere/s")
    assert await ended(worker) == 1
    assert worker.said.startswith("The worker can't listen at /nowhere/s: ")


FACTORY = """
import os

made = 0

async def create_agent():
    global made
    made += 1
    number = made

    async def answer(text):
        "Answers with its number."
        return f"agent {number}"

    return answer
"""


async def test_the_first_session_gets_the_agent_that_was_made_at_the_start(launch: Launch) -> None:
    worker = launch(FACTORY)
    await bound(worker)
    async with dialled(worker.path) as link:
        for session in ("a", "b"):
            answer = answer_of(await link.steps_of(start(session=session)))
            assert answer == {"a": "agent 1", "b": "agent 2"}[session]
        assert answer_of(await link.steps_of(start(session="a", attempt=2))) == "agent 1"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("agent = 5", "'agent' is an object of type int, which is not an agent"),
        ("import asyncio\nasyncio.run(nothing())", "line 2"),
        ("def create_agent():\n    raise ValueError('no key')", "create_agent() raised ValueError"),
        ("async def create_agent():\n    raise SystemExit('gone')", "create_agent() raised"),
    ],
    ids=["no agent", "while loading", "factory", "async factory"],
)
async def test_a_file_that_can_not_be_used_is_told_once_and_for_all(
    launch: Launch, tmp_path: Path, source: str, sentence: str
) -> None:
    failure = tmp_path / "failure"
    worker = launch(source, "--failure", str(failure))
    assert await ended(worker) == 78
    assert sentence in worker.said and len(worker.said.splitlines()) == 1
    assert decode_said(failure.read_bytes()).values
    assert os.listdir(tmp_path) == ["failure"]
    assert not worker.path.exists()


async def test_the_traceback_is_told_to_who_asks_for_it(launch: Launch) -> None:
    worker = launch("def create_agent():\n    raise ValueError('no key')", "--debug")
    assert await ended(worker) == 78
    assert "Traceback" in worker.said


async def test_it_needs_the_sdk_alone(launch: Launch) -> None:
    worker = launch(ECHO + "\nimport sys\nprint(*sys.modules, flush=True)\n")
    packages = {name.partition(".")[0] for name in (await hear_line(worker, "myagent")).split()}
    others = {"django", "channels", "agents", "services", "myagent_site", "structlog", "openai"}
    assert "myagent" in packages and not packages & others


# Ending.


async def test_a_worker_that_is_terminated_finishes_what_it_does(launch: Launch) -> None:
    worker = launch(ECHO.replace("asked.texts[-1]", "input() or 'done'"))
    await bound(worker)
    async with dialled(worker.path) as link:
        begun = start()
        link.say(begun)
        await link.hear(Stepping)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.stdin is not None
        worker.process.stdin.write(b"\n")
        worker.process.stdin.flush()
        steps = (await link.hear(Steps)).steps
        assert answer_of(list(steps)) == "done"
        await link.ended()
        assert Draining() in link.heard
    assert await ended(worker) == 0
    assert not worker.path.exists()


async def test_a_second_signal_ends_a_servers_child_at_once_even_while_agent_code_blocks_it(
    launch: Launch,
) -> None:
    reading, writing = os.pipe()
    worker = launch(BLOCKING, "--parent-fd", str(reading), pass_fds=(reading,))
    os.close(reading)
    await bound(worker)
    async with dialled(worker.path) as link:
        link.say(start())
        # What was said before the agent blocks is heard.
        assert (await link.hear(Text)).text == "blocking"
        worker.process.send_signal(signal.SIGTERM)
        while worker.process.poll() is None:
            await asyncio.sleep(0.02)
            worker.process.send_signal(signal.SIGTERM)
    assert await ended(worker) == -signal.SIGTERM
    assert not worker.path.exists()
    os.close(writing)


async def test_a_second_supervisor_that_asks_as_well_cuts_nothing_off(launch: Launch) -> None:
    worker = launch(ECHO.replace("asked.texts[-1]", "input() or 'done'"))
    await bound(worker)
    async with dialled(worker.path) as link:
        link.say(start())
        await link.hear(Stepping)
        assert worker.process.stdin is not None
        for _ in range(3):
            worker.process.send_signal(signal.SIGTERM)
            # One is taken before the next is sent.
            await until_taken(worker.process.pid, signal.SIGTERM)
        worker.process.stdin.write(b"\n")
        worker.process.stdin.flush()
        assert answer_of(list((await link.hear(Steps)).steps)) == "done"
        await link.ended()
    assert await ended(worker) == 0


async def test_an_interrupt_is_left_to_its_server(launch: Launch) -> None:
    worker = launch(ECHO)
    await bound(worker)
    async with dialled(worker.path) as link:
        worker.process.send_signal(signal.SIGINT)
        link.say(Ping(1))
        await link.hear(Pong)
        assert answer_of(await link.steps_of(start("hello"))) == "hello"


async def test_without_any_link_it_ends(launch: Launch) -> None:
    worker = launch(ECHO, "--orphan-after", "0.2")
    assert await ended(worker) == 0
    assert "reason=orphaned" in worker.said


@pytest.mark.parametrize("source", [ECHO, BLOCKING, "import time\ntime.sleep(3600)"])
async def test_it_ends_with_the_pipe_of_its_server(launch: Launch, source: str) -> None:
    reading, writing = os.pipe()
    worker = launch(source, "--parent-fd", str(reading), pass_fds=(reading,))
    os.close(reading)
    await bound(worker)
    if source is BLOCKING:
        async with dialled(worker.path) as link:
            link.say(start())
            await link.hear(Text)
    os.close(writing)
    # It leads its group, which goes with it.
    assert await ended(worker) == -signal.SIGKILL
    assert not worker.path.exists()


async def test_threads_of_the_agent_do_not_keep_it(launch: Launch) -> None:
    keeps = "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,)).start()\n"
    worker = launch(keeps + ECHO)
    await bound(worker)
    async with dialled(worker.path):
        worker.process.send_signal(signal.SIGTERM)
        assert await ended(worker) == 0


# Agent code that is not kind.

FORKING = """
import os, time

async def agent(text):
    child = os.fork()
    if not child:
        print("the child is there", flush=True)
        time.sleep(3600)
        os._exit(0)
    return str(child)
"""


async def test_a_child_that_agent_code_forked_does_not_hold_a_link(launch: Launch) -> None:
    worker = launch(FORKING)
    await bound(worker)
    async with dialled(worker.path) as link:
        child = int(answer_of(await link.steps_of(start())))
        worker.process.kill()
        await link.ended()
        # A process that is killed closes its files one by one.
        await ended(worker)
        await hear_line(worker, "the child is there")
        assert psutil.pid_exists(child)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_unix_connection(str(worker.path))
        os.kill(child, signal.SIGKILL)


async def test_a_child_that_was_forked_while_the_file_was_loaded_is_not_dialled(
    launch: Launch,
) -> None:
    forks = """
import os, time

child = os.fork()
if not child:
    time.sleep(3600)
    os._exit(0)
print("forked", child, flush=True)
"""
    worker = launch(forks + ECHO)
    child = int((await hear_line(worker, "forked")).split()[1])
    async with dialled(worker.path):
        worker.process.kill()
        await ended(worker)
    assert psutil.pid_exists(child)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_unix_connection(str(worker.path))
    os.kill(child, signal.SIGKILL)


async def test_what_kills_the_interpreter_leaves_the_traceback_in_the_log(launch: Launch) -> None:
    worker = launch("import faulthandler\ndef agent(text): return text\nfaulthandler._sigsegv()")
    assert await ended(worker) == -signal.SIGSEGV
    assert "Segmentation fault" in worker.said and "agent.py" in worker.said


async def test_a_child_that_is_terminated_does_not_make_the_worker_drain(launch: Launch) -> None:
    worker = launch(FORKING)
    await bound(worker)
    async with dialled(worker.path) as link:
        child = psutil.Process(int(answer_of(await link.steps_of(start()))))
        # A signal that comes while Python is being forked is lost to every program.
        await hear_line(worker, "the child is there")
        child.terminate()
        async with asyncio.timeout(PATIENCE_S):
            while child.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        link.say(Ping(1))
        await link.hear(Pong)
        assert Draining() not in link.heard


async def test_a_debugger_is_announced_before_it_blocks_and_after_it(launch: Launch) -> None:
    debugged = """
async def agent(text):
    number = 41
    breakpoint()
    return str(number)
"""
    worker = launch(debugged)
    await bound(worker)
    async with dialled(worker.path) as link:
        begun = start()
        link.say(begun)
        assert (await link.hear(Debugging)).is_on
        assert worker.process.stdin is not None
        worker.process.stdin.write(b"number += 1\nc\n")
        worker.process.stdin.flush()
        assert answer_of(list((await link.hear(Steps)).steps)) == "42"
        link.say(Accept(begun.key))
        heard = [message for message in link.heard if isinstance(message, Debugging)]
        if len(heard) == 1:
            heard.append(await link.hear(Debugging))
        assert [message.is_on for message in heard] == [True, False]
        # Ctrl-C is still its server's business.
        worker.process.send_signal(signal.SIGINT)
        link.say(Ping(1))
        await link.hear(Pong)


@pytest.mark.skipif(sys.platform != "linux", reason="another kernel chooses in another way")
async def test_it_is_ended_before_its_server_when_memory_runs_out(launch: Launch) -> None:
    worker = launch(ECHO)
    await bound(worker)
    async with dialled(worker.path):
        assert oom_score(worker.process.pid) > oom_score(os.getpid())
