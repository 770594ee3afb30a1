"""Agent files are somebody else's: what they are called, hold, see and do reaches no server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.crash.conftest import Site
from tests.crash.witness import Witness, query, read_log, until
from tests.crash.workers import shared_with, targets_of, until_gone, worker_of, workers_of
from tests.recording import TERMINAL, Recorder
from tests.runners import FAST, ROOT, Runner
from tests.terminals import Terminal

OF_THE_SITE = ("agents", "services", "traces", "myagent_site", "manage", "tests")


def write(folder: Path, **files: str) -> Path:
    """The files, by their stems; the first one's path."""
    folder.mkdir(exist_ok=True)
    for stem, text in files.items():
        (folder / f"{stem}.py").write_text(dedent(text))
    return folder / f"{next(iter(files))}.py"


async def answer(runner: Runner, text: str = "hi") -> str:
    """What a new client is answered, over a connection that stays open."""
    async with await Recorder.open(runner.url) as client:
        end = await client.ask(await client.create_session(), text)
        assert end["event"] == "agent.final_answer", end
        content: str = end["content"]
        return content


TELLS_ALL = """
    import json, os, sys
    from importlib import import_module
    from pathlib import Path

    def can_import(name):
        try:
            import_module(name)
        except ImportError:
            return False
        return True

    async def agent(text):
        loaded = sorted(sys.modules)
        return json.dumps({
            "environment": dict(os.environ),
            "arguments": sys.argv,
            "command": Path("/proc/self/cmdline").read_text().split("\\0"),
            "loaded": loaded,
            "importable": [name for name in text.split() if can_import(name)],
        })
"""


async def test_nothing_of_the_sites_is_handed_to_an_agent(site: Site, tmp_path: Path) -> None:
    file = write(tmp_path / "agent", tells_all=TELLS_ALL)
    runner = await site.start(file, MYSQL_PASSWORD="hidden-password", SERPER_API_KEY="a tool's")
    told = json.loads(await answer(runner, " ".join(OF_THE_SITE)))
    names = {name for name in told["environment"] if not name.startswith("MYSQL_")}
    assert names == set(told["environment"])
    assert not names & {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"}
    assert told["environment"]["SERPER_API_KEY"] == "a tool's"
    assert told["arguments"] == [str(file)]
    said = json.dumps([told["environment"], told["command"]])
    for secret in ("for tests only", "hidden-password", site.database_url):
        assert secret not in said
    packages = {name.partition(".")[0] for name in told["loaded"]}
    assert not packages & {*OF_THE_SITE, "django", "channels", "redis", "MySQLdb"}
    assert told["importable"] == []


async def test_a_worker_shares_no_descriptor_with_its_server_but_its_outputs_and_one_pipe(
    site: Site, tmp_path: Path
) -> None:
    file = write(tmp_path / "agent", plain="async def agent(text): return 'Yes.'")
    runner = await site.start(file)
    # Open meanwhile: a client's socket, the database, the log, the listener.
    witness = await Witness.arrive(runner.url)
    worker = await worker_of(runner)
    held = targets_of(worker)
    output, parent = held[1], set(shared_with(runner, worker)) - {held[0], held[1]}
    assert (held[0], held[2]) == ("/dev/null", output)
    assert len(parent) == 1 and parent.pop().startswith("pipe:")
    kinds = {target.partition(":")[0] for number, target in held.items() if number > 2}
    assert kinds <= {"pipe", "socket", "anon_inode"}
    await witness.leave()


async def test_neighbours_may_be_called_like_anything_of_ours(site: Site, tmp_path: Path) -> None:
    neighbours = ("services", "email", "channels", "agents", "django")
    file = write(
        tmp_path / "agent",
        my_agent=f"""
        import {", ".join(neighbours)}

        async def agent(text):
            return " ".join([{", ".join(f"{name}.WORD" for name in neighbours)}])
        """,
        **{name: f"WORD = 'my-{name}'" for name in neighbours},
    )
    runner = await site.start(file, cwd=file.parent)
    assert await answer(runner) == " ".join(f"my-{name}" for name in neighbours)


async def test_a_server_starts_in_a_folder_with_packages_that_are_called_like_the_sites(
    site: Site, tmp_path: Path
) -> None:
    folder = tmp_path / "agent"
    file = write(folder, my_agent="import agents\nasync def agent(text): return agents.WORD")
    for name in ("agents", "services", "traces", "myagent_site"):
        write(folder / name, __init__="WORD = 'mine'")
    runner = await site.start(file, cwd=folder)
    assert await answer(runner) == "mine"


async def test_an_agent_file_may_be_called_like_the_package_that_it_uses(
    site: Site, tmp_path: Path
) -> None:
    file = write(
        tmp_path / "agent",
        openai="""
        from myagent import create_react_agent

        agent = create_react_agent(name="mine")
        """,
    )
    runner = await site.start(file)
    assert await answer(runner, "hello") == "Answer to: hello"


async def test_a_file_that_changes_the_folder_moves_no_database(site: Site, tmp_path: Path) -> None:
    file = write(
        tmp_path / "agent",
        moves="""
        import os
        os.chdir("/")

        async def agent(text):
            return os.getcwd()
        """,
    )
    home = tmp_path / "home"
    home.mkdir()
    runner = await site.start(file, cwd=home, DATABASE_URL="sqlite:///here.db")
    assert await answer(runner) == "/"
    ends = query(
        f"sqlite:///{home / 'here.db'}",
        "SELECT count(*) FROM agents_event WHERE event = 'agent.final_answer'",
    )
    assert ends == [(1,)]


async def test_an_agent_that_closes_the_output_ends_nothing(site: Site, tmp_path: Path) -> None:
    file = write(
        tmp_path / "agent",
        closes="""
        import sys

        async def agent(text):
            sys.stdout.close()
            sys.stderr.close()
            return "closed"
        """,
    )
    runner = await site.start(file)
    worker = await worker_of(runner)
    for _ in range(2):
        assert await answer(runner) == "closed"
    assert await worker_of(runner) == worker
    assert runner.process.poll() is None


async def test_a_tool_may_spawn_a_pool_of_processes(site: Site, tmp_path: Path) -> None:
    file = write(
        tmp_path / "agent",
        pools="""
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        from myagent import create_react_agent, tool

        def double(number):
            return 2 * number

        @tool
        def work() -> str:
            \"\"\"Works.\"\"\"
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                return str(list(pool.map(double, [1, 2, 3])))

        agent = create_react_agent(name="pools", tools=[work])
        """,
    )
    runner = await site.start(file)
    assert await answer(runner, "go [[tool work {}]]") == "Answer to: go (results: [2, 4, 6])"


async def test_a_worker_does_not_outlive_a_server_that_is_killed(site: Site) -> None:
    runner = await site.start()
    witness = await Witness.arrive(runner.url)
    await witness.say('go [[tool charge {"text": "a", "gate": "never"}]]')
    await witness.recorder.until("agent.tool_call")
    worker = await worker_of(runner)
    runner.kill()
    await until_gone(worker)
    await witness.leave()


@pytest.mark.parametrize("text", ["", "[[hold model]] hi"], ids=["idle", "busy"])
async def test_ctrl_c_in_a_terminal_leaves_nothing_behind(
    site: Site, tmp_path: Path, text: str
) -> None:
    environment = os.environ | FAST | {
        "DATABASE_URL": site.database_url,
        "MYAGENT_VAR_DIR": str(tmp_path / "var"),
        "MYAGENT_ENV_FILE": os.devnull,
        "MYAGENT_SHUTDOWN_GRACE_S": "0.2",
        "SECRET_KEY": "for tests only",
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": site.fake.base_url,
        "COUNT_DIR": str(tmp_path),
    }  # fmt: skip
    file = ROOT / "tests" / "agent_files" / "counting_agent.py"
    command = [sys.executable, str(ROOT / "manage.py"), "runagent", str(file), "--port", "0"]
    with Terminal(command, ROOT, environment, columns=300) as terminal:
        shown = await asyncio.to_thread(terminal.until, "is ready at ws://", "\n")
        (worker,) = await until(lambda: workers_of(terminal))
        (listens_at,) = [Path(each[9:]) for each in worker.cmdline() if each[:9] == "--socket="]
        url = "ws://" + shown.partition("ws://")[2].split()[0]
        witness = await Witness.arrive(url)
        if text:
            await witness.say(text)
            await site.fake.wait_held("model")
        terminal.interrupt()
        assert await witness.lose() == 4012
        await asyncio.to_thread(terminal.wait)
        await until_gone(worker.pid)
        assert "Traceback" not in terminal.text
    assert not listens_at.exists()
    log = read_log(site.database_url, witness.session_id)
    assert not [entry for entry in log if entry["event"] in TERMINAL], "left to be continued"
    await witness.leave()
