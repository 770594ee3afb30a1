"""`myagent.manager` as a program uses it; the system says what runs, and what is left."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from myagent_site.options import OPTIONS
from tests.databases import copy_migrated
from tests.managed_site import QUICK, leads_a_group, until
from tests.runners import ROOT
from tests.test_docs import files_in

pytestmark = pytest.mark.processes

PATIENCE_S = 90.0

AGENT = (ROOT / "examples" / "echo_agent.py").read_text(encoding="utf-8")

BEGINNING = """
import asyncio, os, signal, sys, threading, time
import psutil
from myagent.manager import *

def say(*words):
    print(*words, flush=True)

async def heard():
    # Not with asyncio.to_thread: its thread would stay.
    while not os.path.exists("go"):
        await asyncio.sleep(0.02)
"""

Done = subprocess.CompletedProcess[str]


class Folder:
    """A folder of a user's own, and the programs that are run in it.

    Whatever runs with this folder as its working directory belongs to it: the services' processes
    get it from the program that supervises them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        copy_migrated(path / "my.db")
        self.write("my_agent.py", AGENT)
        site = {option.name for option in OPTIONS} | {"DJANGO_SETTINGS_MODULE"}
        clean = {name: value for name, value in os.environ.items() if name not in site}
        quick = {name: value for name, value in QUICK.items() if name != "MYAGENT_SUPERVISOR"}
        self.environment = clean | quick | {"PYTHONPATH": str(ROOT), "MYAGENT_ENV_FILE": os.devnull}
        self._started: list[subprocess.Popen[str]] = []

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.write_text(text, encoding="utf-8")
        return path

    def start(self, *command: str, log: str = "program.log") -> subprocess.Popen[str]:
        with (self.path / log).open("w") as output:
            program = subprocess.Popen(
                [sys.executable, *command],
                cwd=self.path,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        self._started.append(program)
        return program

    def begin(self, code: str) -> subprocess.Popen[str]:
        """Starts a program, and returns once it has said `ready`."""
        self.write("program.py", BEGINNING + code)
        program = self.start("program.py")
        self.until_said("ready", program)
        return program

    def until_said(
        self, word: str, program: subprocess.Popen[str], log: str = "program.log"
    ) -> None:
        def is_said() -> bool:
            said = (self.path / log).read_text()
            assert word in said or program.poll() is None, said
            return word in said

        until(is_said, word)

    def run(self, code: str) -> list[str]:
        """The lines that a program says. It must succeed, and say nothing on the side."""
        self.write("program.py", BEGINNING + code)
        return self.command("program.py").splitlines()

    def command(self, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.path,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    def processes(self, *words: str) -> list[psutil.Process]:
        """Those in the folder whose command line has all the words."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.cwd() == str(self.path) and set(words) <= set(process.cmdline()):
                    found.append(process)
        return found

    def workers(self) -> list[int]:
        return sorted(one.pid for one in self.processes("myagent.worker") if leads_a_group(one))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path / "my.db", timeout=20)) as database:
            return database.execute(sql).fetchall()

    def close(self) -> None:
        for program in self._started:
            program.kill()
            program.wait()

        def is_empty() -> bool:
            left = self.processes()
            for process in left:
                with suppress(psutil.Error):
                    process.kill()
            return not left

        until(is_empty, "an empty folder")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path)
    try:
        yield folder
    finally:
        folder.close()


def test_the_example_of_the_documents_does_what_they_say_and_does_it_again(folder: Folder) -> None:
    for name, text in files_in(ROOT / "docs" / "python.md").items():
        folder.write(name, text)
    for _ in range(2):
        said = folder.command("desk.py").splitlines()
        assert said[:5] == [
            "my-service is running",
            "health: healthy",
            "running services: 1",
            "connections: 0",
            "healthy processes: 1",
        ]
        assert "Ada" in said[5]
        assert folder.processes() == []
    assert (folder.path / "my_manager.db").is_file()


def test_a_manager_that_was_stopped_leaves_nothing_behind_and_took_nothing(folder: Folder) -> None:
    assert folder.run("""
async def main():
    before = [signal.getsignal(number) for number in signal.valid_signals()]
    async with AgentManager("my.db") as manager:
        await manager.register_service("echo", "my_agent.py", replicas=2, auto_start=True)
        await manager.check_service_health("echo")
        say(len(psutil.Process().children()))
    say(len(psutil.Process().children(recursive=True)), threading.active_count())
    # A thread that was joined is gone for Python a moment before it is for the system.
    while psutil.Process().num_threads() > 1:
        await asyncio.sleep(0.01)
    say(len(asyncio.all_tasks()), psutil.Process().num_threads())
    say(before == [signal.getsignal(number) for number in signal.valid_signals()])
asyncio.run(main())
""") == ["2", "0 1", "1 1", "True"]
    assert folder.processes() == []


def test_what_is_desired_stays_when_the_manager_stops(folder: Folder) -> None:
    assert folder.run("""
async def main():
    async with AgentManager("my.db") as manager:
        await manager.register_service("runs", "my_agent.py", auto_start=True)
        await manager.register_service("rests", "my_agent.py")
    async with AgentManager("my.db") as manager:
        while manager.get_service("runs").status != "running":
            await asyncio.sleep(0.02)
        say(manager.get_service("rests").status)
        say([service.name for service in manager.list_services(status="running")])
asyncio.run(main())
""") == ["stopped", "['runs']"]


def test_a_service_is_changed_restarted_stopped_and_taken_off_the_list(folder: Folder) -> None:
    assert folder.run("""
async def main():
    async with AgentManager("my.db") as manager:
        first = await manager.register_service(
            "echo", "my_agent.py", tags={"a", "b"}, auto_start=True,
            config=ServiceConfig(max_sessions=5, session_timeout=60),
        )
        say(first.config.max_sessions, first.config.session_timeout_s, sorted(first.tags))
        changed = await manager.update_service("echo", tags={"b"}, max_sessions=6)
        say(changed.config.max_sessions, changed.config.session_timeout_s, sorted(changed.tags))
        say([service.name for service in manager.list_services(tags={"b"})])
        say(manager.list_services(tags={"a"}))
        second = await manager.restart_service("echo")
        say(second.instances[0].pid != first.instances[0].pid)
        say(f"pid={second.instances[0].pid}" in manager.get_service_logs("echo")[-1])
        stopped = await manager.stop_service(first.service_id)
        say(stopped.status, stopped.endpoint == first.endpoint, stopped.desired)
        asked = await manager.start_service("echo", wait=False)
        say(asked.status)
        say((await manager.start_service("echo", wait=60)).status)
        await manager.unregister_service("echo")
        say(manager.list_services(), psutil.Process().children())
asyncio.run(main())
""") == [
        "5 60.0 ['a', 'b']",
        "6 60.0 ['b']",
        "['echo']",
        "[]",
        "True",
        "True",
        "stopped True stopped",
        "starting",
        "running",
        "[] []",
    ]


@pytest.mark.long
def test_the_same_path_may_be_opened_again_and_another_is_refused(folder: Folder) -> None:
    said = folder.run("""
os.mkdir("deeper")
AgentManager("my.db"), AgentManager(os.path.abspath("my.db")), AgentManager("deeper/../my.db")
AgentManager()
try:
    AgentManager("other.db")
except WrongSettings as error:
    say(error)
say(os.path.exists("other.db"))
""")
    assert said == [
        "This process uses another database than other.db already: one process, one database.",
        "False",
    ]


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("AgentManager('nowhere/my.db')", "There is no folder"),
        ("AgentManager('.')", "is a folder, not an SQLite file"),
        ("AgentManager(':memory:')", "must be a file"),
        (
            "os.environ['MYAGENT_LEASE_S'] = 'soon'; AgentManager('my.db')",
            "MYAGENT_LEASE_S must be",
        ),
        (
            "os.environ['MYAGENT_RENEW_S'] = '60'; start()",
            "MYAGENT_RENEW_S must be at most a third",
        ),
        ("open('my.db', 'w').write('no database ' * 99); start()", "The database can't be used"),
        (
            "from django.conf import settings; settings.configure(); AgentManager('my.db')",
            "settings of another project",
        ),
    ],
)
def test_what_can_not_be_used_is_said_in_a_sentence(folder: Folder, code: str, part: str) -> None:
    (said,) = folder.run(f"""
def start():
    asyncio.run(AgentManager("my.db").start())
try:
    {code}
except ManagerError as error:
    say(error)
""")
    assert part in said


@pytest.mark.long
def test_a_manager_whose_settings_were_wrong_may_be_made_again(folder: Folder) -> None:
    assert folder.run("""
async def main():
    os.environ["DATABASE_URL"] = before = "sqlite:///elsewhere.db"
    os.environ["MYAGENT_LEASE_S"] = "soon"
    try:
        AgentManager("my.db")
    except WrongSettings:
        say(os.environ["DATABASE_URL"] == before)
    os.environ["MYAGENT_LEASE_S"] = "3"
    async with AgentManager("my.db") as manager:
        say(manager.list_services())
asyncio.run(main())
""") == ["True", "[]"]
    assert not (folder.path / "elsewhere.db").exists()


def test_what_is_refused_is_said_without_django(folder: Folder) -> None:
    said = folder.run("""
async def refused(asking):
    try:
        await asking
    except Refused as error:
        say(type(error).__name__, error.code, error.field, error)

async def main():
    async with AgentManager("my.db") as manager:
        await manager.register_service("echo", "my_agent.py")
        await manager.register_service("far", url="ws://127.0.0.1:9/")
        both = ServiceConfig(agent_factory_path="other.py")
        await refused(manager.register_service("echo", "my_agent.py"))
        await refused(manager.register_service("x", "nowhere.py"))
        await refused(manager.register_service("x"))
        await refused(manager.register_service("x", "my_agent.py", config=both))
        await refused(manager.register_service("a name", "my_agent.py"))
        await refused(manager.register_service("x", "my_agent.py", port=0))
        await refused(manager.update_service("echo", max_sessions=0))
        await refused(manager.start_service("nobody"))
        await refused(manager.restart_service("far"))
        try:
            manager.get_service("nobody")
        except UnknownService as error:
            say(error.code)
        try:
            manager.get_service_logs("echo", instance_id="1")
        except UnknownService as error:
            say(error.code)
        say((await manager.check_service_health("far")).status)
asyncio.run(main())
""")
    begins = [
        "Conflict name_taken name There is a service 'echo' already",
        "Refused invalid agent_factory_path There is no file",
        "Refused invalid agent_factory_path Give either",
        "Refused invalid agent_factory_path Two agent files are named",
        "Refused invalid name 'a name' can't be",
        "Refused invalid port port must be between",
        "Refused invalid max_sessions max_sessions must be",
        "UnknownService unknown_service  There is no service 'nobody'",
        "Conflict external  'far' runs elsewhere",
        "unknown_service",
        "unknown_instance",
        "unhealthy",
    ]
    assert len(said) == len(begins)
    for line, begin in zip(said, begins, strict=True):
        assert line.startswith(begin)


@pytest.mark.long
def test_one_that_can_not_start_or_takes_too_long_is_said_with_how_it_is(folder: Folder) -> None:
    folder.write("broken.py", "def create_agent(:\n")
    folder.write("slow.py", "import time\ntime.sleep(1000)\n")
    said = folder.run("""
async def main():
    async with AgentManager("my.db") as manager:
        try:
            await manager.register_service("broken", "broken.py", auto_start=True)
        except ServiceFailed as error:
            say("line 1" in str(error), error.service.status, error.service.desired)
        try:
            await manager.register_service("slow", "slow.py", auto_start=True, wait=0.3)
        except TimeoutError as error:
            say(isinstance(error, StillWorking), error.service.status)
            say(error)
        say((await manager.check_service_health("broken")).status)
        say((await manager.check_service_health("slow")).status)
        open("broken.py", "w").write(open("my_agent.py").read())
        say((await manager.start_service("broken")).status)
asyncio.run(main())
""")
    assert said == [
        "True error running",
        "True starting",
        "slow has not got there after 0.3 seconds: it is starting. It is still in progress.",
        "unhealthy",
        "unknown",
        "running",
    ]
    assert folder.processes() == []


@pytest.mark.long
def test_what_went_wrong_is_said_in_the_language_of_the_program(folder: Folder) -> None:
    folder.write("leaves.py", "import os\nos._exit(3)\n")
    once = "ServiceConfig(auto_restart=False)"
    said = folder.run(f"""
async def main():
    async with AgentManager("my.db") as manager:
        from django.utils import translation
        try:
            await manager.register_service("leaves", "leaves.py", config={once}, auto_start=True)
        except ServiceFailed as error:
            say(error)
        with translation.override("zh-hans"):
            say(manager.get_service("leaves").error_message)
            try:
                manager.get_service("nobody")
            except UnknownService as error:
                say(error)
        say(manager.get_service("leaves").error_message)
asyncio.run(main())
""")
    assert said == [
        "leaves failed: Its process ended by itself with status 3.",
        "其进程自行结束，退出状态为 3。",
        "没有名为“nobody”的服务。",
        "Its process ended by itself with status 3.",
    ]


@pytest.mark.long
def test_who_waits_is_told_that_somebody_else_asked_for_something_else(folder: Folder) -> None:
    folder.write("slow.py", "import time\ntime.sleep(1000)\n")
    assert (
        folder.run("""
async def main():
    async with AgentManager("my.db") as manager:
        await manager.register_service("slow", "slow.py")
        for other in (manager.stop_service, manager.unregister_service):
            starting = asyncio.create_task(manager.start_service("slow"))
            while manager.get_service("slow").desired != "running":
                await asyncio.sleep(0.01)
            await other("slow", wait=False)
            try:
                await starting
            except NotArrived as error:
                say(type(error).__name__, str(error).endswith("meanwhile."))
asyncio.run(main())
""")
        == ["NotArrived True"] * 2
    )


@pytest.mark.long
def test_the_variables_of_a_service_are_given_to_it_and_shown_to_nobody(folder: Folder) -> None:
    folder.environment["NOT_FOR_SERVICES"] = "private"
    said = folder.run("""
async def main():
    config = ServiceConfig(environment={"KEY": "hunter2"})
    say(config)
    async with AgentManager("my.db") as manager:
        first = await manager.register_service(
            "echo", "my_agent.py", config=config, auto_start=True
        )
        say(first)
        def variables(service):
            return psutil.Process(service.instances[0].pid).environ()
        say(variables(first)["KEY"] == "hunter2", "NOT_FOR_SERVICES" in variables(first))
        await manager.update_service("echo", config=ServiceConfig(max_sessions=1))
        second = await manager.restart_service("echo")
        # How many conversations there may be is for servers to know.
        say(variables(second)["KEY"] == "hunter2", "MYAGENT_MAX_SESSIONS" in variables(second))
        await manager.update_service("echo", environment={})
        say("KEY" in variables(await manager.restart_service("echo")))
asyncio.run(main())
""")
    assert said[2:] == ["True False", "True False", "False"]
    assert "hunter2" not in "".join(said[:2])
    for file in (folder.path / "var").rglob("*"):
        assert file.is_dir() or b"hunter2" not in file.read_bytes()
    assert b"hunter2" not in (folder.path / "my.db").read_bytes()


@pytest.mark.long
def test_one_that_is_replaced_is_as_it_is_told_now(folder: Folder) -> None:
    folder.write("other.py", AGENT)
    assert folder.run("""
async def main():
    async with AgentManager("my.db") as manager:
        config = ServiceConfig(max_sessions=5, environment={"KEY": "1"})
        first = await manager.register_service(
            "echo", "my_agent.py", description="old", tags={"old"}, config=config
        )
        again = await manager.register_service("echo", "other.py", replace=True, auto_start=True)
        say(again.service_id == first.service_id, again.status, os.path.basename(
            again.agent_factory_path), again.description == "", set(again.tags) == set(),
            again.config.max_sessions)
        say("KEY" in psutil.Process(again.instances[0].pid).environ())
asyncio.run(main())
""") == ["True running other.py True True None", "False"]


@pytest.mark.long
def test_beside_the_file_are_its_key_and_logs_which_the_commands_find_too(folder: Folder) -> None:
    manager = ("-m", "myagent.manager.cli.manager", "--db-path", "my.db")
    folder.run("""
async def main():
    config = ServiceConfig(environment={"KEY": "hunter2"})
    async with AgentManager("my.db") as manager:
        await manager.register_service("echo", "my_agent.py", config=config, auto_start=True)
asyncio.run(main())
""")
    assert (folder.path / "var" / "secret_key").stat().st_mode & 0o077 == 0
    assert " ready file=" in folder.command(*manager, "logs", "echo")
    folder.command(*manager, "start", "echo")
    (pid,) = folder.workers()
    assert psutil.Process(pid).environ()["KEY"] == "hunter2"
    folder.command(*manager, "stop", "echo")
    until(lambda: not folder.processes())


@pytest.mark.long
def test_the_plain_methods_work_inside_a_running_loop_outside_one_and_in_threads(
    folder: Folder,
) -> None:
    assert (
        folder.run("""
def look(manager):
    say(manager.get_service("echo").name, manager.get_service_stats("echo")["instances"],
        manager.get_system_stats()["services"]["total"], manager.get_health_summary()["total"],
        manager.get_connection_stats()["total_connections"], manager.get_service_logs("echo"))

async def main():
    manager = AgentManager("my.db")
    await manager.start()
    await manager.register_service("echo", "my_agent.py")
    look(manager)
    await asyncio.to_thread(look, manager)
    return manager

with asyncio.Runner() as runner:
    manager = runner.run(main())
    look(manager)
    runner.run(manager.stop())
""")
        == ["echo 0 1 0 0 []"] * 3
    )


@pytest.mark.long
def test_rules_of_routing_are_set_inside_a_running_loop(folder: Folder) -> None:
    assert folder.run("""
from myagent.manager.storage.models import *

async def main():
    async with AgentManager("my.db") as manager:
        rule = manager.add_routing_rule(RoutingRule(name="vip", priority=1,
            conditions=[RoutingCondition(field="user_agent", operator=ConditionOperator.CONTAINS,
                                         value="VIP", case_sensitive=False)],
            target_strategy=RoutingStrategy.LEAST_CONNECTIONS, target_tags=["premium"],
            target_services=["none"]))
        say(manager.list_routing_rules() == [rule], rule.priority, *rule.warnings)
        try:
            manager.add_routing_rule(RoutingRule(name="vip"))
        except Conflict as error:
            say(error.code)
        changed = manager.update_routing_rule("vip", priority=2, conditions=rule.conditions)
        say(manager.list_routing_rules() == [changed], changed.priority)
        manager.remove_routing_rule(rule.rule_id)
        say(manager.list_routing_rules())

asyncio.run(main())
""") == [
        "True 1 The rule names services that are not registered: none.",
        "name_taken",
        "True 2",
        "[]",
    ]


@pytest.mark.long
def test_a_program_that_blocks_its_loop_keeps_its_lease_and_its_services(folder: Folder) -> None:
    folder.environment |= {"MYAGENT_LEASE_S": "3", "MYAGENT_RENEW_S": "0.3"}
    assert folder.run("""
async def main():
    async with AgentManager("my.db") as manager:
        config = ServiceConfig(restart_delay=0.05)
        service = await manager.register_service(
            "echo", "my_agent.py", config=config, auto_start=True
        )
        psutil.Process(service.instances[0].pid).kill()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:  # Nothing is awaited.
            now = manager.get_service("echo")
            pids = {one.pid for one in now.instances if one.state == "running"}
            if pids and service.instances[0].pid not in pids:
                break
        time.sleep(4)
        now = manager.get_service("echo")
        say(now.status, now.restart_count)
asyncio.run(main())
""") == ["running 1"]
    assert folder.query("SELECT epoch FROM services_supervisor") == [(1,)]


def test_a_program_that_is_killed_leaves_its_services_to_the_next(folder: Folder) -> None:
    program = folder.begin("""
async def main():
    async with AgentManager("my.db") as manager:
        await manager.register_service("echo", "my_agent.py", replicas=2, auto_start=True)
        say("ready")
        await heard()
asyncio.run(main())
""")
    program.kill()
    program.wait()
    running = folder.workers()
    assert len(running) == 2
    assert folder.run("""
async def main():
    async with AgentManager("my.db") as manager:
        service = await manager.start_service("echo")
        say(sorted(instance.pid for instance in service.instances))
asyncio.run(main())
""") == [str(running)]
    assert folder.processes() == []


@pytest.mark.parametrize("ending", ["pass", "sys.exit()", "asyncio.get_running_loop().stop()"])
@pytest.mark.long
def test_a_program_that_does_not_stop_its_manager_leaves_nothing_behind_either(
    folder: Folder, ending: str
) -> None:
    said = folder.run(f"""
async def main():
    manager = AgentManager("my.db")
    await manager.start(health_check_interval=0.05)
    service = await manager.register_service("echo", "my_agent.py", auto_start=True)
    say(service.status)
    {ending}
try:
    asyncio.run(main())
except RuntimeError:
    pass  # The loop was stopped under it.
""")
    assert said == ["running"]
    assert folder.processes() == []
    assert folder.query("SELECT desired, status FROM services_service") == [("running", "stopped")]


def test_ctrl_c_stops_the_manager_and_its_services(folder: Folder) -> None:
    program = folder.begin("""
async def main():
    async with AgentManager("my.db") as manager:
        await manager.register_service("echo", "my_agent.py", auto_start=True)
        say("ready")
        await heard()
asyncio.run(main())
""")
    assert len(folder.workers()) == 1
    program.send_signal(signal.SIGINT)
    assert program.wait(PATIENCE_S) != 0
    assert folder.processes() == []
    assert folder.query("SELECT desired, status FROM services_service") == [("running", "stopped")]


@pytest.mark.long
def test_a_manager_uses_a_supervisor_that_is_there_and_follows_it(folder: Folder) -> None:
    folder.environment["DATABASE_URL"] = f"sqlite:///{folder.path / 'my.db'}"
    supervise = (str(ROOT / "manage.py"), "supervise")
    supervisor = folder.start(*supervise, log="supervise.log")
    folder.until_said("Supervising the services of", supervisor, "supervise.log")
    code = """
async def main():
    async with AgentManager() as manager:
        service = await manager.start_service("echo")
        say(psutil.Process().children(), "ready")
        await heard()
        while not psutil.Process().children():
            await asyncio.sleep(0.02)
        service = await manager.start_service("echo")
        say([child.pid for child in psutil.Process().children()] == [service.instances[0].pid])
asyncio.run(main())
"""
    folder.command(str(ROOT / "manage.py"), "services", "register", "echo", "my_agent.py")
    (folder.path / "go").touch()
    folder.run(code.split("await heard()")[0] + "\nasyncio.run(main())\n")
    (pid,) = folder.workers()  # They are the supervisor's: it goes on with them.
    (folder.path / "go").unlink()
    program = folder.begin(code)
    assert folder.workers() == [pid]
    supervisor.kill()
    supervisor.wait()
    os.kill(pid, signal.SIGKILL)
    (folder.path / "go").touch()
    assert program.wait(PATIENCE_S) == 0
    assert (folder.path / "program.log").read_text().splitlines() == ["[] ready", "True"]
    assert folder.processes() == []


@pytest.mark.long
def test_a_supervisor_that_a_command_started_makes_room(folder: Folder) -> None:
    manager = ("-m", "myagent.manager.cli.manager", "--db-path", "my.db")
    folder.command(*manager, "register", "echo", "my_agent.py", "--auto-start")
    running = folder.workers()
    folder.begin("""
async def main():
    async with AgentManager("my.db") as manager:
        say("ready")
        await heard()
asyncio.run(main())
""")
    until(lambda: not folder.processes("supervise"))
    assert folder.workers() == running
    (folder.path / "go").touch()
    until(lambda: not folder.processes())


@pytest.mark.long
def test_two_managers_of_one_file_go_on_one_without_the_other(folder: Folder) -> None:
    assert folder.run("""
async def main():
    async with AgentManager("my.db") as second:
        async with AgentManager("my.db") as first:
            await first.register_service("echo", "my_agent.py", auto_start=True)
        await second.start_service("echo")
        say(second.get_service("echo").status)
    say(psutil.Process().children(), threading.active_count())
asyncio.run(main())
""") == ["running", "[] 1"]


@pytest.mark.long
def test_it_may_be_stopped_at_any_time_and_started_again(folder: Folder) -> None:
    assert folder.run("""
async def main():
    manager = AgentManager("my.db")
    await manager.stop()
    try:
        manager.list_services()
    except NotRunning as error:
        say(error)
    for pause in (0, 0.05, 0.2, 0.4):
        starting = asyncio.create_task(manager.start())
        await asyncio.sleep(pause)
        await asyncio.gather(manager.stop(), manager.stop())
        try:
            await starting
        except NotRunning:
            pass
        starting = asyncio.create_task(manager.start())
        await asyncio.sleep(pause)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await manager.stop()
        assert threading.active_count() == 1, threading.enumerate()
        assert not manager.is_running
    stopping = asyncio.gather(manager.start(), manager.start())
    await stopping
    stopping = asyncio.create_task(manager.stop())
    await asyncio.sleep(0)
    await manager.start()
    await stopping
    say(manager.is_running, manager.list_services())
    await manager.stop()
    await manager.stop()
    try:
        await manager.start_service("echo")
    except NotRunning as error:
        say(error)
    say(threading.active_count())
asyncio.run(main())
""") == [
        "The manager is not running: `await manager.start()` comes first.",
        "True []",
        "The manager is not running: `await manager.start()` comes first.",
        "1",
    ]


@pytest.mark.long
def test_a_manager_whose_database_is_damaged_stops_all_the_same(folder: Folder) -> None:
    folder.environment |= {"MYAGENT_LEASE_S": "1", "MYAGENT_RENEW_S": "0.3"}
    assert folder.run("""
import logging
logging.basicConfig(filename="own.log")
async def main():
    manager = AgentManager("my.db")
    await manager.start()
    await manager.register_service("echo", "my_agent.py", auto_start=True)
    for name in ("my.db", "my.db-wal"):
        with open(name, "r+b") as file:
            file.write(b"x" * os.path.getsize(name))
    try:
        await manager.start_service("echo")
    except StorageFailed as error:
        say(type(error).__name__)
    await manager.stop()
    say(threading.active_count(), len(asyncio.all_tasks()))
asyncio.run(main())
""") == ["StorageFailed", "1 1"]


@pytest.mark.long
def test_who_asks_how_a_service_is_is_told_how_it_is_now(folder: Folder) -> None:
    folder.environment |= {"MYAGENT_HEALTH_TIMEOUT_S": "0.5", "MYAGENT_LEASE_S": "60"}
    assert folder.run("""
async def main():
    manager = AgentManager("my.db")
    await manager.start(health_check_interval=600)
    service = await manager.register_service("echo", "my_agent.py", replicas=2, auto_start=True)
    first, second = (psutil.Process(instance.pid) for instance in service.instances)
    async def check():
        health = await manager.check_service_health("echo")
        say(health.status, *(found.detail for found in health.checks))
    await check()
    first.suspend()
    await check()
    second.suspend()
    for _ in range(8):  # More than a supervisor would bear.
        await manager.check_service_health("echo")
    await check()
    first.resume()
    second.resume()
    await check()
    say(manager.get_service("echo").status, manager.get_health_summary()["healthy"])
    await manager.stop()
asyncio.run(main())
""") == [
        "healthy  ",
        "degraded It did not answer in time. ",
        "unhealthy It did not answer in time. It did not answer in time.",
        "healthy  ",
        "running 2",
    ]


@pytest.mark.both_databases(when_long=True)
def test_without_a_path_it_is_the_site_s_database(folder: Folder, fresh_database_url: str) -> None:
    folder.environment |= {"DATABASE_URL": fresh_database_url, "SECRET_KEY": "for tests"}
    folder.environment["MYAGENT_VAR_DIR"] = str(folder.path / "kept")
    assert folder.run("""
async def main():
    async with AgentManager() as manager:
        service = await manager.register_service("echo", "my_agent.py", auto_start=True)
        await manager.restart_service("echo")
        say((await manager.check_service_health("echo")).status)
        await manager.unregister_service("echo")
asyncio.run(main())
""") == ["healthy"]
    assert (folder.path / "kept" / "logs").is_dir()
    assert not (folder.path / "var").exists()


@pytest.mark.long
def test_logs_of_the_manager_go_where_the_program_says(folder: Folder) -> None:
    folder.run("""
import logging
logging.basicConfig(filename="own.log", level=logging.INFO)
async def main():
    async with AgentManager("my.db") as manager:
        await manager.register_service("echo", "my_agent.py", auto_start=True)
asyncio.run(main())
""")
    log = (folder.path / "own.log").read_text()
    assert "INFO:services.supervision.supervisor:event='instance_launched' service='echo'" in log


def test_django_is_loaded_by_the_first_manager_and_not_by_the_import(folder: Folder) -> None:
    assert folder.run("""
say("django" in sys.modules)
AgentManager("my.db")
say("django" in sys.modules)
""") == ["False", "True"]
