"""`manage.py services` and its other names, with real processes: the system says who runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.databases import copy_migrated
from tests.freezing import freeze
from tests.managed_site import ManagedSite, until
from tests.recording import Recorder
from tests.runners import ROOT
from tests.terminals import Terminal

from .conftest import AGENT_FILES

MANAGE = (sys.executable, "manage.py", "services")
MANAGER = (sys.executable, "-m", "myagent.manager.cli.manager")
PARROT = str(AGENT_FILES / "parrot.py")
PATIENCE_S = 90.0

Done = subprocess.CompletedProcess[str]


class Site(ManagedSite):
    """A site on an SQLite file, with a supervisor only when a command starts it."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "agent_manager.db"
        copy_migrated(self.database)
        url = f"sqlite:///{self.database}"
        super().__init__(url, folder, MYAGENT_SUPERVISOR="auto", PYTHONPATH=str(ROOT))

    def run(self, *arguments: object, program: tuple[str, ...] = MANAGE) -> Done:
        return subprocess.run(
            [*program, *map(str, arguments)],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def do(self, *arguments: object) -> str:
        """Must succeed, and say nothing on the side."""
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    def refuse(self, *arguments: object) -> str:
        done = self.run(*arguments)
        assert (done.returncode, done.stdout) == (1, ""), done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    def json(self, *arguments: object) -> Any:
        return json.loads(self.do(*arguments, "--json"))

    def pids(self, name: str) -> list[int]:
        return [instance["pid"] for instance in self.json("status", name)["instances"]]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    try:
        yield site
    finally:
        site.close()


@pytest.fixture
def failing(tmp_path: Path) -> str:
    path = tmp_path / "failing.py"
    path.write_text("print('before the end', flush=True)\nraise RuntimeError('no \\x1b[31mdisk')\n")
    return str(path)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def names(found: list[dict[str, Any]]) -> list[str]:
    return [service["name"] for service in found]


def test_three_services_from_registration_to_the_end(site: Site) -> None:
    for name, tags in (("one", "en,demo"), ("two", "zh,demo"), ("three", "zh")):
        assert site.do("register", name, PARROT, "--tags", tags).startswith(f"{name} is registered")
    assert names(site.json("list", "--status", "stopped")) == ["one", "three", "two"]

    assert site.do("start", "one").startswith("one is running")
    site.do("start", "two")
    assert names(site.json("list", "--status", "running")) == ["one", "two"]
    assert names(site.json("list", "--tags", "zh,demo")) == ["two"]
    (one,), (two,) = site.pids("one"), site.pids("two")
    assert is_running(one) and is_running(two) and one != two
    assert site.json("stats")["services"]["running"] == 2
    assert site.json("stats", "one")["instances"] == 1
    assert site.json("health", "one")["instances"][0]["pid"] == one

    assert site.do("stop", "one") == "one is stopped.\n"
    assert not is_running(one) and is_running(two)
    assert site.pids("one") == []
    for name in ("one", "two", "three"):
        assert site.do("unregister", name) == f"{name} is unregistered.\n"
    assert not is_running(two)
    assert site.json("list") == []


@pytest.mark.long
async def test_a_started_service_talks_and_a_restarted_one_is_another_process(site: Site) -> None:
    url = site.url(await asyncio.to_thread(site.serve), "parrot")
    answer = site.do("register", "parrot", PARROT, "--auto-start")
    told = url.replace("127.0.0.1", "localhost")
    assert answer.splitlines()[1] == f"parrot is running at {told}"
    async with await Recorder.open(url) as client:
        session = await client.create_session()
        await client.say(session, "5 hello")
        assert (await client.until("agent.final_answer"))["content"] == "hello"
    (before,) = site.pids("parrot")
    await asyncio.to_thread(site.do, "restart", "parrot")
    (after,) = site.pids("parrot")
    assert before != after
    assert is_running(after) and not is_running(before)


def test_what_can_not_start_ends_with_status_1_its_error_and_its_last_words(
    site: Site, failing: str
) -> None:
    site.do("register", "bad", failing)
    told = site.refuse("start", "bad")
    assert "bad failed: " in told and "line 2" in told
    assert "before the end" in told
    assert "\x1b" not in told
    assert names(site.json("list", "--status", "error")) == ["bad"]
    assert "before the end" in site.do("logs", "bad")
    assert site.do("unregister", "bad") == "bad is unregistered.\n"


def test_wrong_input_is_answered_in_sentences(site: Site) -> None:
    assert "There is no service 'nobody'." in site.refuse("start", "nobody")
    assert "There is no file" in site.refuse("register", "x", "nowhere.py")
    assert "can't be a name" in site.refuse("register", "a b", PARROT)
    # The byte is no character, and reaches the program all the same.
    assert "There is no service" in site.refuse("status", os.fsdecode(b"\xff"))
    for wrong in (["juggle"], [], ["start"], ["list", "--status", "odd"]):
        done = site.run(*wrong)
        assert done.returncode == 2
        assert done.stderr.startswith("usage: ") and "Traceback" not in done.stderr


def test_a_reader_that_goes_away_early_is_no_error(site: Site) -> None:
    site.do("register", "one", PARROT)
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [*MANAGE, "list"],
            cwd=ROOT,
            env=site.environment,
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=PATIENCE_S,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.long
def test_logs_are_followed_into_new_processes_until_ctrl_c(site: Site) -> None:
    site.do("register", "parrot", PARROT, "--auto-start")
    with subprocess.Popen(
        [*MANAGE, "logs", "parrot", "-f"],
        cwd=ROOT,
        env=site.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None and following.stderr is not None
        for line in following.stdout:
            if " ready file=" in line:
                break
        site.do("restart", "parrot")
        heads = 0
        for line in following.stdout:
            heads += line.startswith("==> ")
            if heads and " ready file=" in line:
                break
        following.send_signal(signal.SIGINT)
        assert following.wait(PATIENCE_S) == 0
        assert following.stderr.read() == ""
    assert heads


@pytest.mark.long
def test_ctrl_c_while_waiting_leaves_the_wish(site: Site) -> None:
    site.environment |= {"MYAGENT_SUPERVISOR": "external", "MYAGENT_LEASE_S": "60"}
    site.do("register", "one", PARROT)
    supervisor = site.supervise()
    # Nothing happens from here on.
    freeze(supervisor.process.pid, site.database_url)
    with Terminal([*MANAGE, "start", "one"], ROOT, site.environment) as terminal:
        terminal.until("one: starting")
        terminal.press("\x03")
        assert terminal.wait() == 130
        assert "the request for one is still carried out" in terminal.text
    assert not site.workers("one")
    supervisor.process.send_signal(signal.SIGCONT)
    assert is_running(site.until_runs("one")[0])
    supervisor.kill()


@pytest.mark.long
def test_the_manager_s_name_does_the_same_on_any_file(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "another manager+100%.db"
    options = ("--db-path", file)

    def manager(*arguments: object) -> Done:
        return site.run(*arguments, program=MANAGER)

    assert manager(*options, "register", "parrot", PARROT, "--auto-start").returncode == 0
    found = manager("status", "parrot", *options, "--json")
    (pid,) = [instance["pid"] for instance in json.loads(found.stdout)["instances"]]
    assert is_running(pid)
    assert "parrot\trunning" in manager("list", f"--db-path={file}").stdout
    assert site.json("list") == []
    assert manager("unregister", "parrot", *options).stdout == "parrot is unregistered.\n"
    assert not is_running(pid)
    assert "parrot" not in manager("list", *options).stdout


@pytest.mark.long
def test_the_daemon_is_the_supervisor(site: Site) -> None:
    site.environment["MYAGENT_SUPERVISOR"] = "external"
    site.do("register", "parrot", PARROT)
    assert "manage.py supervise" in site.refuse("start", "parrot")
    with subprocess.Popen(
        [*MANAGER, "daemon", "--db-path", str(site.database)],
        cwd=site.folder,
        env=site.environment | {"DATABASE_URL": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as daemon:
        try:
            assert daemon.stdout is not None
            assert "Supervising" in daemon.stdout.readline()
            assert "parrot is running" in site.do("start", "parrot")
            assert site.do("unregister", "parrot") == "parrot is unregistered.\n"
        finally:
            daemon.terminate()
        assert daemon.wait(PATIENCE_S) == 0


@pytest.mark.long
def test_a_supervisor_that_a_command_started_leaves_when_nothing_is_to_do(site: Site) -> None:
    """However quick it is: the command that started it need not see it at work."""
    site.do("register", "parrot", PARROT)
    for _ in range(3):
        assert site.do("stop", "parrot") == "parrot is stopped.\n"
        until(lambda: not site.processes("supervise"))
    assert site.do("unregister", "parrot") == "parrot is unregistered.\n"


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ([], 2, "registers agents as services"),
        (["juggle"], 2, "invalid choice: 'juggle'"),
        (["list", "--db-path"], 2, "needs the path of an SQLite file"),
        (["list", "--db-path", "/nowhere/at/all.db"], 1, "There is no folder /nowhere/at"),
        (["list", "--db-path", "/tmp"], 1, "is a folder"),
        (["list", "--db-path", PARROT], 1, "The database can't be used: file is not a database"),
        (["--help"], 0, ""),
        (["start", "--help"], 0, ""),
    ],
)
@pytest.mark.long
def test_the_manager_answers_wrong_usage_in_sentences(
    site: Site, arguments: list[str], status: int, told: str
) -> None:
    done = site.run(*arguments, program=MANAGER)
    assert done.returncode == status
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_services_is_a_word_of_myagent_ws_too(site: Site) -> None:
    done = site.run("list", program=(sys.executable, "-m", "myagent.cli.server", "services"))
    assert done.stdout.startswith("name\tstatus")
