"""A runner that leaves, restarts or can't start: what its clients see, and what its owner reads."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_model_control import FakeModelControl
from tests.ports import free_port
from tests.recording import (
    PATIENCE_S,
    Recorder,
    assert_gapless,
    assert_one_end_each,
    durable,
    kinds,
)
from tests.runners import ROOT, STOP_S, Runner, RunnerDied

from .conftest import AGENT_FILES, Serve

CONFIGURATION_ERROR = 78


async def exit_status(runner: Runner) -> int:
    return await asyncio.to_thread(runner.process.wait, STOP_S)


async def held(client: Recorder, model: FakeModelControl, nonce: str) -> str:
    """A new session whose run waits in the middle of its answer."""
    session = await client.create_session()
    await client.say(session, f"[[hold {nonce}]] {nonce}")
    await model.held(nonce)
    return session


# Leaving.


@pytest.mark.both_databases(when_long=True)
async def test_a_runner_that_is_told_to_leave_finishes_what_runs(
    serve: Serve, model: FakeModelControl, nonce: str
) -> None:
    runner = serve("tools.py", env={"MYAGENT_SHUTDOWN_GRACE_S": "60"})
    async with await Recorder.open(runner.url) as client:
        session = await held(client, model, nonce)
        runner.signal(signal.SIGTERM)
        notice = await client.until("system.notice")
        assert notice["metadata"]["code"] == "draining"
        await client.say(session, "one more", message_id="late")
        error = await client.error("service_unavailable")
        assert error["metadata"]["message_id"] == "late"
        assert error["metadata"]["retryable"] is True
        await client.send("user.create_session")
        await client.error("service_unavailable")
        await model.release(nonce)
        assert await client.read_to_close() == 4012
        assert client.frames[-1]["event"] == "system.error"
        log = durable(client.frames)
        assert log[-1]["content"] == f"Answer to: {nonce}"
        assert_gapless(log)
        assert_one_end_each(log)
    assert await exit_status(runner) == 0


async def test_an_idle_runner_leaves_at_once(serve: Serve) -> None:
    runner = serve("odd.py", env={"MYAGENT_SHUTDOWN_GRACE_S": "600"})
    async with await Recorder.open(runner.url) as client:
        await client.create_session()
        runner.signal(signal.SIGINT)
        assert await client.read_to_close() == 4012
    assert await exit_status(runner) == 0


@pytest.mark.both_databases(when_long=True)
async def test_a_second_signal_hurries_and_the_run_goes_on_in_the_next_process(
    serve: Serve, model: FakeModelControl, nonce: str
) -> None:
    first = serve("tools.py", env={"MYAGENT_SHUTDOWN_GRACE_S": "600"})
    async with await Recorder.open(first.url) as client:
        session = await held(client, model, nonce)
        first.signal(signal.SIGTERM)
        await client.until("system.notice")
        first.signal(signal.SIGTERM)
        assert await client.read_to_close() == 4012
        seen = durable(client.frames)
    assert await exit_status(first) == 0
    second = serve("tools.py")
    async with await Recorder.open(second.url) as client:
        await model.release(nonce)
        await client.reconnect(session, seen[-1]["seq"])
        if "agent.final_answer" not in kinds(client.frames):
            await client.until("agent.final_answer")
        log = seen + durable(client.frames)
        assert log[-1]["content"] == f"Answer to: {nonce}"
        assert_gapless(log)
        assert_one_end_each(log)


async def asked(client: Recorder) -> dict[str, object]:
    """A new session in which a tool waits for a yes; the question."""
    session = await client.create_session()
    await client.say(session, '[[tool order {"item": "tea"}]] please')
    return await client.until("agent.user_confirm")


@pytest.mark.both_databases(when_long=True)
async def test_a_question_survives_a_restart_and_can_be_answered(serve: Serve) -> None:
    first = serve("tools.py", env={"MYAGENT_SHUTDOWN_GRACE_S": "600"})
    async with await Recorder.open(first.url) as client:
        question = await asked(client)
        seen = durable(client.frames)
        assert first.stop() == 0, "nobody waits for a person before leaving"
    session, step = str(question["session_id"]), question["step_id"]
    second = serve("tools.py")
    async with await Recorder.open(second.url) as client:
        resumed = (await client.reconnect(session, len(seen)))[0]
        assert resumed["metadata"]["status"] == "waiting"
        for args in ({"item": 1}, {"item": "茶"}):
            content = {"approved": True, "args": args}
            await client.send("user.response", session, step_id=step, content=content)
        await client.error("invalid_event")
        await client.until("agent.final_answer")
        log = seen + durable(client.frames)
        assert_gapless(log)
        assert_one_end_each(log)
        assert kinds(log).count("agent.user_confirm") == 1
        (result,) = [frame for frame in log if frame["event"] == "agent.tool_result"]
        assert (result["step_id"], result["content"]) == (step, "ordered 1 × 茶")


@pytest.mark.long
async def test_a_question_keeps_its_deadline_across_a_restart(serve: Serve) -> None:
    first = serve("tools.py", env={"MYAGENT_CONFIRM_TIMEOUT_S": "2"})
    async with await Recorder.open(first.url) as client:
        question = await asked(client)
        first.stop()
    second = serve("tools.py", env={"MYAGENT_CONFIRM_TIMEOUT_S": "300"})
    async with await Recorder.open(second.url) as client:
        await client.reconnect(str(question["session_id"]))
        while "agent.final_answer" not in kinds(client.frames):
            await client.receive()
        (result,) = [frame for frame in client.frames if frame["event"] == "agent.tool_result"]
        assert result["metadata"]["status"] == "declined"


# Reloading.


def write_agent(file: Path, word: str) -> None:
    file.write_text(f"async def agent(text):\n    return f'{word}: {{text}}'\n")


async def until_answered(client: Recorder, session: str, content: str) -> None:
    """Asks until the worker with the changed file has taken over."""
    async with asyncio.timeout(PATIENCE_S):
        while (await client.ask(session, "hi"))["content"] != content:
            pass


async def test_a_changed_agent_file_is_reloaded_under_the_open_socket(
    serve: Serve, tmp_path: Path
) -> None:
    folder = tmp_path / "agents"
    folder.mkdir()
    file = folder / "changing.py"
    write_agent(file, "one")
    runner = serve(file, "--reload")
    try:
        async with await Recorder.open(runner.url) as client:
            session = await client.create_session()
            assert (await client.ask(session, "hi"))["content"] == "one: hi"
            write_agent(file, "two")
            await until_answered(client, session, "two: hi")
            file.write_text("async def agent(text:\n")
            await asyncio.to_thread(runner.wait_for_log, "changing.py, line 1: syntax error")
            assert (await client.ask(session, "hi"))["content"] == "two: hi"
            write_agent(file, "three")
            await until_answered(client, session, "three: hi")
            assert_gapless(client.frames)
    finally:
        status = runner.stop()
    assert status == 0


# Not starting.


def runagent(
    file: Path | str, folder: Path, port: int = 0, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    usual = {
        "DATABASE_URL": f"sqlite:///{folder / 'site.db'}",
        "SECRET_KEY": "tests",
        "MYAGENT_VAR_DIR": str(folder),
    }
    return subprocess.run(
        [sys.executable, "manage.py", "runagent", str(file), f"--port={port}", *options],
        cwd=ROOT,
        env=os.environ | usual | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


BROKEN = {
    "syntax": ("async def agent(text:\n", "line 1"),
    "raises": ("x = 1\nraise RuntimeError('no luck')\n", "no luck"),
    "ends slowly": (
        "import atexit, time\natexit.register(time.sleep, 1)\nraise RuntimeError('no luck')\n",
        "no luck",
    ),
    "imports": ("import nothing_of_that_name\n", "nothing_of_that_name"),
    "exits": ("import sys\nsys.exit(0)\n", "SystemExit"),
    "empty": ("", "agent"),
    "number": ("agent = 42\n", "int"),
    "factory": ("def create_agent(model):\n    return model\n", "create_agent"),
}


BROKEN_ALIKE = {"ends slowly", "imports", "number", "factory"}
"""Tried with --long alone: all but the first are looked at where files are loaded."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.long] * (name in BROKEN_ALIKE)) for name in BROKEN],
)
def test_a_broken_agent_file_is_a_sentence_and_a_configuration_error(
    tmp_path: Path, name: str
) -> None:
    text, part = BROKEN[name]
    file = tmp_path / f"{name.replace(' ', '_')}_agent.py"
    file.write_text(text)
    ended = runagent(file, tmp_path)
    assert ended.returncode == CONFIGURATION_ERROR
    said = ended.stdout + ended.stderr
    assert file.name in said
    assert part in said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "name", ["nowhere.py", "", pytest.param("notes.txt", marks=pytest.mark.long)]
)
def test_what_is_no_agent_file_is_a_configuration_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("agent = 1")
    ended = runagent(tmp_path / name, tmp_path)
    assert ended.returncode == CONFIGURATION_ERROR
    assert "Traceback" not in ended.stdout + ended.stderr
    assert str(tmp_path) in ended.stderr


def assert_one_sentence(ended: subprocess.CompletedProcess[str]) -> None:
    (sentence,) = (ended.stdout + ended.stderr).strip().splitlines()
    assert sentence.endswith(".")


@pytest.mark.long
def test_a_file_whose_name_is_too_long_for_a_service_needs_another(tmp_path: Path) -> None:
    file = tmp_path / f"{'a' * 101}.py"
    write_agent(file, "hi")
    ended = runagent(file, tmp_path)
    assert ended.returncode == CONFIGURATION_ERROR
    assert_one_sentence(ended)
    assert "--name" in ended.stderr


TALKS_RUBBISH = """\
#!{python}
import socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(next(a for a in sys.argv if a.startswith("--socket=")).partition("=")[2])
listening.listen()
while True:
    listening.accept()[0].sendall({said!r})
"""


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request", b'\0\0\0\x20{"kind": "unfit", "version": 99}']
)
@pytest.mark.long
def test_an_interpreter_that_runs_something_else_is_a_sentence(tmp_path: Path, said: bytes) -> None:
    python = tmp_path / "python"
    python.write_text(TALKS_RUBBISH.format(python=sys.executable, said=said))
    python.chmod(0o755)
    ended = runagent(AGENT_FILES / "odd.py", tmp_path, 0, f"--python={python}")
    assert ended.returncode == CONFIGURATION_ERROR
    assert "Traceback" not in ended.stdout + ended.stderr
    *logged, sentence = (ended.stdout + ended.stderr).strip().splitlines()
    assert "odd.py does not speak this protocol: " in sentence and sentence.endswith(".")
    assert all(line.startswith("{") for line in logged)


@pytest.mark.long
def test_a_folder_that_can_not_be_watched_is_a_sentence(tmp_path: Path) -> None:
    ended = runagent(tmp_path / "nowhere" / "agent.py", tmp_path, 0, "--reload")
    assert ended.returncode == CONFIGURATION_ERROR
    assert_one_sentence(ended)
    assert str(tmp_path / "nowhere") in ended.stderr


@pytest.mark.long
def test_a_name_that_no_path_can_hold_is_a_wrong_option(tmp_path: Path) -> None:
    ended = runagent(AGENT_FILES / "odd.py", tmp_path, 0, "--name=a/b")
    assert ended.returncode == 2
    assert "no slash" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "command", [["manage.py", "runagent"], ["-m", "myagent.cli.server", "server"]]
)
@pytest.mark.long
def test_a_var_folder_that_can_not_be_made_is_a_sentence(
    tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "file").touch()
    ended = subprocess.run(
        [sys.executable, *command, str(AGENT_FILES / "odd.py"), "--port=0"],
        cwd=ROOT,
        env=os.environ
        | {
            "DATABASE_URL": f"sqlite:///{tmp_path / 'site.db'}",
            "SECRET_KEY": "tests",
            "MYAGENT_VAR_DIR": str(tmp_path / "file" / "var"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert_one_sentence(ended)
    assert "MYAGENT_VAR_DIR" in ended.stderr


def test_a_port_in_use_is_a_sentence_with_a_way_out(serve: Serve, tmp_path: Path) -> None:
    runner = serve("odd.py")
    ended = runagent(AGENT_FILES / "odd.py", tmp_path, runner.port)
    assert ended.returncode == 1
    assert str(runner.port) in ended.stderr
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_database_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": f"mysql://root:hunter2@127.0.0.1:{free_port()}/site"}
    ended = subprocess.run(
        [sys.executable, "manage.py", "runagent", str(AGENT_FILES / "odd.py"), "--port=0"],
        cwd=ROOT,
        env=os.environ | environment | {"SECRET_KEY": "x", "MYAGENT_VAR_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "database" in ended.stderr.lower()
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "hunter2" not in ended.stdout + ended.stderr


@pytest.mark.long
def test_one_name_is_one_agent_file(serve: Serve) -> None:
    """Runners of a name continue each other's runs: another agent must not."""
    first = serve("parrot.py", "--name", "bird")
    with pytest.raises(RunnerDied, match=r"parrot\.py: choose another name with --name"):
        serve("odd.py", "--name", "bird")
    second = serve("parrot.py", "--name", "bird")
    serve("odd.py", "--name", "other")
    for runner in (first, second):
        runner.kill()
    serve("odd.py", "--name", "bird")
