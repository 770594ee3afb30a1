"""The supervisor over real processes: whatever is killed, what is desired comes about, once."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import psutil
import pytest
from django.utils import translation

from myagent.client import Client, Event, FinalAnswer, connect
from tests.crash.witness import read_log
from tests.freezing import freeze
from tests.managed_site import Command, ManagedSite, managed_site, until
from tests.ports import free_port
from tests.recording import TERMINAL, Recorder, assert_gapless, kinds
from tests.runners import ROOT, Runner

pytestmark = pytest.mark.processes

ECHO = ROOT / "examples" / "echo_agent.py"


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    with managed_site(fresh_database_url, tmp_path) as site:
        yield site


def test_a_worker_that_is_killed_comes_back_at_once(site: ManagedSite) -> None:
    """Whatever delay is set: that is for those that fail again and again."""
    site.supervise()
    site.register("echo", ECHO, "--auto-start", "--restart-delay=3600")
    (first,) = site.until_runs("echo")
    psutil.Process(first).kill()
    site.until_runs("echo", not_as={first})
    assert until(lambda: site.service("echo")["restart_count"]) == 1


@pytest.mark.both_databases(when_long=True)
def test_the_next_supervisor_goes_on_wherever_one_was_killed(site: ManagedSite) -> None:
    site.register("echo", ECHO, "--replicas=2")
    running: list[int] = []
    for verb in ("start", "restart", "stop"):
        supervisor = site.supervise()
        site.services(verb, "echo", "--no-wait")
        supervisor.wait_for_log("instance_launched" if verb != "stop" else "instance_drain")
        supervisor.kill()
        site.supervise()
        if verb == "stop":
            site.until_status("echo", "stopped")
            site.until_gone("echo")
        else:
            running = site.until_runs("echo", 2, not_as=set(running))
        for left in site.processes("supervise"):
            left.kill()
            left.wait()


@pytest.mark.long
def test_a_second_supervisor_waits_for_its_turn(site: ManagedSite) -> None:
    first = site.supervise()
    site.register("echo", ECHO, "--auto-start")
    running = site.until_runs("echo")
    second = Command(site, "supervise").wait_for_log("waiting_for_the_lease")
    assert "Supervising" not in second.log
    assert site.until_runs("echo") == running
    first.kill()
    second.wait_for_log("Supervising the services of")
    assert site.until_runs("echo") == running
    assert second.stop() == 0
    # They outlive their supervisors.
    assert site.until_runs("echo") == running


@pytest.mark.both_databases
def test_a_supervisor_that_slept_does_nothing_twice(site: ManagedSite) -> None:
    sleeper = site.supervise(MYAGENT_LEASE_S="1", MYAGENT_RENEW_S="0.3")
    site.register("echo", ECHO, "--auto-start", "--replicas=2", "--restart-delay=0.1")
    before = site.until_runs("echo", 2)
    freeze(sleeper.process.pid, site.database_url)
    site.supervise()
    psutil.Process(before[0]).kill()
    after = site.until_runs("echo", 2, not_as={before[0]})
    sleeper.send(signal.SIGCONT)
    sleeper.wait_for_log("supervision_lost")
    assert site.until_runs("echo", 2) == after


@pytest.mark.both_databases(when_long=True)
def test_a_restart_changes_every_process_and_never_leaves_nobody(site: ManagedSite) -> None:
    site.supervise()
    site.register("echo", ECHO, "--auto-start", "--replicas=2")
    before = site.until_runs("echo", 2)
    least = 2
    site.services("restart", "echo", "--no-wait")

    def is_replaced() -> bool:
        nonlocal least
        rows = site.instances("echo")
        serving = {row["pid"] for row in rows if row["state"] == "running"}
        least = min(least, len(serving))
        return len(rows) == 2 == len(serving) and not serving & set(before)

    until(is_replaced)
    assert least == 2
    site.until_runs("echo", 2, not_as=set(before))


@pytest.mark.both_databases(when_long=True)
def test_a_file_that_can_not_be_loaded_is_an_error_until_it_is_mended(site: ManagedSite) -> None:
    site.supervise()
    broken = site.write("broken.py", "def create_agent(:\n")
    said = ""
    site.register("broken", broken)
    said = site.services("start", "broken", expect=1)
    assert "broken.py" in said
    assert "line 1" in said
    service = site.until_status("broken", "error")
    assert "line 1" in service["error_message"]
    assert service["restart_count"] == 0
    site.until_gone("broken")
    with translation.override("zh-hans"):
        assert "第 1 行" in site.service("broken")["error_message"]
    assert list(site.folder.glob("var/run/*")) == []
    broken.write_text(ECHO.read_text())
    site.services("start", "broken")
    site.until_runs("broken")


def test_a_file_that_is_broken_meanwhile_leaves_the_old_worker_serving_and_says_so(
    site: ManagedSite,
) -> None:
    site.supervise()
    file = site.write("mine.py", ECHO.read_text())
    site.register("mine", file, "--auto-start")
    running = site.until_runs("mine")
    file.write_text("def create_agent(:\n")
    assert "line 1" in site.services("restart", "mine", expect=1)
    service = site.until_status("mine", "unhealthy")
    assert "line 1" in service["error_message"]
    assert site.until_runs("mine") == running
    file.write_text(ECHO.read_text())
    site.services("restart", "mine")
    site.until_runs("mine", not_as=set(running))
    assert site.until_status("mine", "running")["error_message"] == ""


@pytest.mark.long
def test_a_file_that_is_deleted_is_missed_at_the_next_start(site: ManagedSite) -> None:
    site.supervise()
    file = site.write("mine.py", ECHO.read_text())
    site.register("mine", file, "--auto-start", "--restart-delay=0.1")
    (pid,) = site.until_runs("mine")
    file.unlink()
    psutil.Process(pid).kill()
    assert "mine.py" in site.until_status("mine", "error")["error_message"]


def test_a_file_that_hangs_is_ended_when_its_time_is_over(site: ManagedSite) -> None:
    site.supervise(MYAGENT_START_TIMEOUT_S="1.5")
    site.register(
        "hangs",
        site.write("hangs.py", "import time\ntime.sleep(1000)\n"),
        "--auto-start",
        "--no-wait",
        "--max-restart-count=0",
    )
    service = site.until_status("hangs", "error")
    assert "ready in time" in service["error_message"]
    site.until_gone("hangs")


def test_a_file_that_ends_its_process_is_started_so_often_and_no_more(site: ManagedSite) -> None:
    site.supervise()
    count = site.folder / "count"
    code = f"import os\nopen({str(count)!r}, 'a').write('x')\nos._exit(0)\n"
    site.register(
        "leaves",
        site.write("leaves.py", code),
        "--auto-start",
        "--no-wait",
        "--max-restart-count=2",
        "--restart-delay=0.05",
    )
    service = site.until_status("leaves", "error")
    assert "with status 0" in service["error_message"]
    assert "3 times" in service["error_message"]
    assert count.read_text() == "xxx"


WAIT = "import time; time.sleep(1000)"
FORKS = f"""
import subprocess, sys
WAIT = {WAIT!r}
subprocess.Popen([sys.executable, "-c", WAIT])
subprocess.Popen([sys.executable, "-c", WAIT], start_new_session=True)

async def agent(text):
    return text
"""


@pytest.mark.parametrize("ending", [pytest.param("stop", marks=pytest.mark.long), "kill -9"])
def test_what_an_agent_starts_ends_with_it(site: ManagedSite, ending: str) -> None:
    site.supervise()
    site.register("forks", site.write("forks.py", FORKS), "--auto-start", "--no-auto-restart")
    (pid,) = site.until_runs("forks")

    def children() -> list[psutil.Process]:
        return site.processes("-c", WAIT)

    until(lambda: len(children()) == 2)
    if ending == "stop":
        site.services("stop", "forks")
    else:
        psutil.Process(pid).kill()
    until(lambda: not children())
    site.until_gone("forks")


@pytest.mark.long
def test_a_process_that_got_the_number_of_a_dead_worker_is_left_alone(site: ManagedSite) -> None:
    """As after pids have gone round: the row names a number that is somebody else's now."""
    supervisor = site.supervise()
    site.register("echo", ECHO, "--auto-start", "--restart-delay=0.1")
    (pid,) = site.until_runs("echo")
    supervisor.kill()
    psutil.Process(pid).kill()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        identity = site.query("SELECT process FROM services_instance")[0][0]
        parts = identity.split("/")
        parts[2] = str(innocent.pid)
        site.execute(
            f"UPDATE services_instance SET process = '{'/'.join(parts)}', pid = {innocent.pid}"
        )
        site.supervise()
        site.until_runs("echo", not_as={pid, innocent.pid})
        site.services("stop", "echo")
        assert innocent.poll() is None
        innocent.kill()


HUNGRY = """
import asyncio
held = []

async def agent(text):
    held.append(bytearray(200_000_000))
    for at in range(0, 200_000_000, 4096):
        held[-1][at] = 1
    await asyncio.sleep(1000)
"""


def test_who_uses_more_memory_than_its_limit_is_replaced(site: ManagedSite) -> None:
    serving = site.serve()
    site.register(
        "hungry",
        site.write("hungry.py", HUNGRY),
        "--auto-start",
        "--memory-limit-mb=80",
        "--restart-delay=0.1",
    )
    (pid,) = site.until_runs("hungry")
    site.ask(site.url(serving, "hungry"), "eat")
    until(lambda: not psutil.pid_exists(pid))
    # What made it eat is unfinished, so that the next one eats too: that is given up in the end.
    failed = "SELECT cause, error FROM services_instance WHERE state = 'error'"
    cause, error = until(lambda: site.query(failed))[0]
    assert cause == "memory"
    assert "limit" in error


def test_ctrl_c_on_serve_leaves_no_process_behind_and_keeps_what_is_desired(
    site: ManagedSite,
) -> None:
    serving = site.serve()
    site.register("echo", ECHO, "--auto-start", "--replicas=2")
    running = site.until_runs("echo", 2)
    second = site.serve().wait_for_log("waiting_for_the_lease")
    assert second.stop(signal.SIGINT) == 0
    said = "Leaving; the services go on: another supervisor has them."
    assert said in second.log.splitlines()
    assert "start again" not in second.log
    assert site.until_runs("echo", 2) == running
    assert serving.stop(signal.SIGINT) == 0
    assert serving.log.splitlines()[-1] == (
        "The services that were running start again with the next serve."
    )
    assert site.processes() == []
    assert site.service("echo")["desired"] == "running"
    assert site.service("echo")["status"] == "stopped"
    site.serve()
    site.until_runs("echo", 2)


WAITS = """
import asyncio

async def agent(text):
    await asyncio.sleep(3600)
"""


@pytest.mark.long
async def test_ctrl_c_on_serve_is_told_to_clients_before_anything_comes_of_it(
    site: ManagedSite,
) -> None:
    serving = site.serve()
    site.register("waits", site.write("waits.py", WAITS), "--auto-start")
    site.until_runs("waits")
    async with await Recorder.open(site.url(serving, "waits")) as client:
        session = await client.create_session()
        await client.say(session, "hello")
        await client.until("agent.thinking")
        begun = len(client.frames)
        serving.send(signal.SIGINT)
        assert await client.read_to_close() == 4012
        told = [(frame["event"], frame["metadata"].get("code")) for frame in client.frames[begun:]]
    assert told[0] == ("system.notice", "draining")
    assert told.count(("system.notice", "draining")) == 1
    assert told[-1] == ("system.error", "service_unavailable")
    assert_gapless(client.frames)
    assert not set(kinds(client.frames)) & TERMINAL
    assert await asyncio.to_thread(serving.process.wait, 30) == 0


@pytest.mark.both_databases(when_long=True)
def test_a_serve_that_is_killed_leaves_the_workers_to_the_next(site: ManagedSite) -> None:
    serving = site.serve()
    site.register("echo", ECHO, "--auto-start")
    running = site.until_runs("echo")
    serving.kill()
    serving = site.serve()
    assert site.until_runs("echo") == running
    site.services("stop", "echo")
    site.until_gone("echo")


@pytest.mark.long
def test_a_site_with_a_supervisor_of_its_own_leaves_the_services_to_it(site: ManagedSite) -> None:
    supervisor = site.supervise()
    serving = site.serve(MYAGENT_SUPERVISOR="external")
    site.register("echo", ECHO, "--auto-start")
    running = site.until_runs("echo")
    supervisor.stop()
    site.supervise()
    assert serving.stop() == 0
    assert site.until_runs("echo") == running


def test_a_full_disk_under_its_log_keeps_no_agent_from_serving(site: ManagedSite) -> None:
    with (
        open("/dev/full", "wb") as full,
        subprocess.Popen(
            [sys.executable, "manage.py", "runagent", str(ECHO), f"--port={(port := free_port())}"],
            cwd=ROOT,
            env=site.environment,
            stdout=full,
            stderr=full,
        ) as process,
    ):
        until(lambda: answers(port))
        site.ask(f"ws://127.0.0.1:{port}/", "hello")
        process.terminate()
    assert process.returncode == 0


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_without_a_supervisor_a_command_says_how_to_start_one(site: ManagedSite) -> None:
    site.register("echo", ECHO)
    assert "manage.py supervise" in site.services("start", "echo", expect=1)


@pytest.mark.both_databases(when_long=True)
@pytest.mark.long
def test_unregistering_ends_what_runs_as_interrupted(site: ManagedSite) -> None:
    serving = site.serve()
    forever = "import asyncio\n\nasync def agent(text):\n    await asyncio.sleep(1000)\n"
    site.register("slow", site.write("slow.py", forever), "--auto-start")
    site.until_runs("slow")
    site.ask(site.url(serving, "slow"), "hello")
    site.services("unregister", "slow")
    assert site.service("slow") == {}
    site.until_gone("slow")
    (session_id,) = [row[0] for row in site.query("SELECT id FROM agents_session")]
    ends = [frame["event"] for frame in read_log(site.database_url, session_id)]
    assert ends == ["agent.session_created", "user.message", "agent.interrupted"]


async def answer_to(client: Client, text: str) -> str:
    return "".join([event.content async for event in client.ask(text) if is_final(event)])


def is_final(event: Event) -> TypeGuard[FinalAnswer]:
    return isinstance(event, FinalAnswer)


@pytest.mark.long
async def test_a_conversation_goes_on_over_a_restart(site: ManagedSite) -> None:
    serving = site.serve()
    site.register("echo", ECHO, "--auto-start")
    before = site.until_runs("echo")
    async with connect(site.url(serving, "echo")) as client:
        answers = [await answer_to(client, "one")]
        await asyncio.to_thread(site.services, "restart", "echo")
        site.until_runs("echo", not_as=set(before))
        answers.append(await answer_to(client, "two"))
        session_id = client.session_id
    assert answers == ["You said: one", "You said: two"]
    log = read_log(site.database_url, session_id)
    assert [frame["seq"] for frame in log] == list(range(1, len(log) + 1))
    assert [frame["event"] for frame in log].count("agent.final_answer") == 2


@pytest.mark.long
def test_a_service_that_runs_elsewhere_is_watched_and_not_started(site: ManagedSite) -> None:
    site.supervise()
    port = free_port()
    site.services("register", "far", f"--url=ws://127.0.0.1:{port}/")
    service = site.until_status("far", "unhealthy")
    assert "No socket could be opened" in service["error_message"]
    with Runner(ECHO, site.database_url, site.folder / "elsewhere", port=port):
        assert site.until_status("far", "running")["error_message"] == ""
    assert site.instances("far") == []
    assert "runs elsewhere" in site.services("restart", "far", expect=1)


def test_an_instance_that_no_longer_answers_is_replaced(site: ManagedSite) -> None:
    site.supervise(MYAGENT_HEALTH_TIMEOUT_S="0.3", MYAGENT_HEALTH_INTERVAL_S="0.3")
    site.register("echo", ECHO, "--auto-start", "--restart-delay=0.1")
    (pid,) = site.until_runs("echo")
    psutil.Process(pid).suspend()
    site.until_runs("echo", not_as={pid})
    assert not psutil.pid_exists(pid)
    rows = site.query("SELECT cause, error FROM services_instance WHERE state = 'error'")
    assert rows[0][0] == "unhealthy"
    assert "health checks" in rows[0][1]


@pytest.mark.long
def test_one_that_is_stuck_is_replaced_though_no_check_is_due(site: ManagedSite) -> None:
    site.supervise(MYAGENT_HEALTH_INTERVAL_S="3600", MYAGENT_WORKER_STUCK_S="1.5")
    site.register("echo", ECHO, "--auto-start")
    (pid,) = site.until_runs("echo")
    psutil.Process(pid).suspend()
    site.until_runs("echo", not_as={pid})
    assert not psutil.pid_exists(pid)


SAYS_WHAT_IT_SEES = """
import importlib.util, json, os, pathlib, sys

def what(descriptor):
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""

seen = {
    "environment": dict(os.environ),
    "arguments": [*sys.argv, *sys.orig_argv],
    "descriptors": [what(descriptor) for descriptor in os.listdir("/proc/self/fd")],
    "modules": sorted(sys.modules),
    "path": sys.path,
    "importable": [
        name
        for name in ("agents", "traces", "services", "myagent_site", "manage")
        if importlib.util.find_spec(name)
    ],
}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(seen))

async def agent(text):
    return text
"""


def test_what_an_agent_sees_holds_nothing_of_the_site(site: ManagedSite) -> None:
    file = site.write("curious.py", SAYS_WHAT_IT_SEES)
    site.supervise(OPENAI_API_KEY="sk-for-agents", AWS_SECRET="not for agents")
    site.register("curious", file, "--auto-start", "--env", "OWN=1")
    site.until_runs("curious")
    seen = json.loads(file.with_suffix(".json").read_text())
    environment = seen["environment"]
    assert (environment["OPENAI_API_KEY"], environment["OWN"]) == ("sk-for-agents", "1")
    secret = site.environment["SECRET_KEY"]
    # A path of its own is all that it is told: where it listens, and its log.
    told = json.dumps([environment, seen["arguments"], seen["descriptors"]])
    for of_the_site in (secret, "not for agents", site.database_url, "site.db", "manage.py"):
        assert of_the_site not in told
    names = set(environment)
    assert {name for name in names if name.startswith(("MYAGENT_", "MYSQL_", "DJANGO_"))} == {
        "MYAGENT_INSTANCE"
    }
    assert not names & {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "PYTHONPATH"}
    assert seen["importable"] == []
    packages = {name.partition(".")[0] for name in seen["modules"]}
    assert not packages & {"django", "channels", "agents", "traces", "services", "myagent_site"}
    assert str(ROOT) not in seen["path"]


@pytest.mark.long
def test_a_service_is_run_by_its_own_interpreter(site: ManagedSite) -> None:
    python = site.folder / "python"
    python.write_text(f'#!/bin/sh\nexport RUN_BY=own\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    code = "import os\nassert os.environ['RUN_BY'] == 'own'\n" + ECHO.read_text()
    site.supervise()
    site.register("own", site.write("own.py", code), "--auto-start", f"--python={python}")
    running = site.until_runs("own")
    # One that is gone is said at the next start; the worker that serves stays.
    python.unlink()
    assert "could not be started" in site.services("restart", "own", expect=1)
    assert site.until_runs("own") == running
