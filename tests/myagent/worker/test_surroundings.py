"""An agent file in a worker finds what `python FILE` would find."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.myagent.worker.workers import Worker

pytestmark = pytest.mark.processes

TELLS_ITS_PATH = """
    import json, os, sys
    FOUND = json.dumps([sys.path, sys.argv, os.environ.get("PYTHONPATH")])

    async def agent(text):
        return FOUND

    if __name__ == "__main__":
        print(FOUND)
"""


def test_the_path_is_that_of_a_program(worker: Worker) -> None:
    worker.write(my_agent=TELLS_ITS_PATH)
    assert json.loads(worker.answer("my_agent.py")) == json.loads(
        worker.as_a_program("my_agent.py")
    )


def test_where_the_sdk_is_not_installed_its_folder_comes_last(
    bare_worker: Worker, tmp_path: Path
) -> None:
    bare_worker.write(my_agent=TELLS_ITS_PATH)
    path, *rest = json.loads(bare_worker.answer("my_agent.py"))
    assert path.pop() == str(tmp_path / "var" / "sdk")
    assert [path, *rest] == json.loads(bare_worker.as_a_program("my_agent.py"))


def test_the_folder_it_was_started_in_is_not_on_the_path(worker: Worker, tmp_path: Path) -> None:
    worker.write(my_agent=TELLS_ITS_PATH)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path, _, _ = json.loads(worker.answer("my_agent.py", cwd=elsewhere))
    assert not {"", ".", str(elsewhere)} & {*path}


def test_programs_that_the_agent_starts_inherit_no_path(worker: Worker) -> None:
    worker.write(
        my_agent="""
        import subprocess, sys

        async def agent(text):
            program = "import os; print(os.environ.get('PYTHONPATH'))"
            return subprocess.check_output([sys.executable, "-c", program], text=True)
        """
    )
    assert worker.answer("my_agent.py") == "None\n"


def test_the_packages_of_the_site_are_not_there(worker: Worker) -> None:
    worker.write(
        my_agent="""
        from importlib.util import find_spec

        async def agent(text):
            site = "agents", "services", "traces", "myagent_site", "tests"
            return str([name for name in site if find_spec(name)])
        """
    )
    assert worker.answer("my_agent.py") == "[]"


LEADS_TO_A_TOOL = """
    from myagent import create_react_agent, tool
    from myagent.testing import ScriptedModel, call

    {tool}

    def reply(request):
        return request.texts[-1] if len(request.messages) > 1 else call("work")

    agent = create_react_agent(tools=[work], model=ScriptedModel(reply))
"""

SPAWNS = LEADS_TO_A_TOOL.format(
    tool="""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from dataclasses import dataclass

    @dataclass
    class Sum:
        value: int

    def add(one, other):
        return Sum(one + other)

    @tool
    def work() -> str:
        context = multiprocessing.get_context("{method}")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            result = pool.submit(add, 1, 2).result()
        return f"{{result}} {{result.__class__ is Sum}}"
"""
)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("name", ["my_agent", "my-agent", "my.agent", "openai", "colorsys"])
def test_a_tool_may_spawn_processes_whatever_the_file_is_called(
    worker: Worker, name: str, method: str
) -> None:
    worker.write(**{name: SPAWNS.format(method=method)})
    assert worker.answer(f"{name}.py") == "Sum(value=3) True"


def test_the_module_is_known_by_the_stem(worker: Worker) -> None:
    worker.write(my_agent="async def agent(text): return __name__")
    assert worker.answer("my_agent.py") == "my_agent"


@pytest.mark.parametrize("name", ["openai", "json", "email", "asyncio", "stand_in", "__main__"])
def test_a_stem_that_is_taken_is_left_to_its_owner(worker: Worker, name: str) -> None:
    worker.write(
        **{
            name: """
            from pathlib import Path

            async def agent(text):
                return __name__ + " " + Path(__file__).name
            """
        }
    )
    assert worker.answer(f"{name}.py") == f"__mp_main__ {name}.py"


def test_a_file_imports_the_package_that_it_is_called_like(worker: Worker) -> None:
    worker.write(
        openai="""
        import openai

        async def agent(text):
            return openai.AsyncOpenAI.__name__
        """
    )
    assert worker.answer("openai.py") == "AsyncOpenAI"


def test_a_symlink_leads_to_the_folder_of_its_target(worker: Worker, tmp_path: Path) -> None:
    worker.write(
        my_agent="import words\nasync def agent(text): return words.WORD", words="WORD = 'x'"
    )
    link = tmp_path / "link.py"
    os.symlink(worker.folder / "my_agent.py", link)
    assert worker.answer(str(link)) == "x"


def test_a_file_in_a_folder_that_is_not_there_is_told(worker: Worker) -> None:
    told = worker.refusal("nowhere/my_agent.py")
    assert told == f"{worker.folder}/nowhere/my_agent.py: there is no such file."
