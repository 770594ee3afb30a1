"""The `.env` beside an agent file, in a program that asks the agent itself."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from myagent import agent_env, create_react_agent
from myagent.agent_env import beside
from myagent.env_file import EnvFileError
from myagent.testing import ScriptedModel
from tests.runners import ROOT


@pytest.fixture
def agent_file(tmp_path: Path) -> Path:
    return tmp_path / "my_agent.py"


def write(agent_file: Path, text: str) -> None:
    agent_file.with_name(".env").write_text(text, encoding="utf-8")


OF_A_SITE = [
    *("DATABASE_URL", "SECRET_KEY", "REDIS_URL", "MYSQL_HOST", "MYSQL_PASSWORD", "DEBUG"),
    *("MYAGENT_VAR_DIR", "MYAGENT_AUTH", "MYAGENT_NOT_YET", "ALLOWED_HOSTS"),
    *("DJANGO_SETTINGS_MODULE", "PYTHONPATH"),
]


def test_an_agent_has_what_the_file_sets_but_for_settings_of_a_site(agent_file: Path) -> None:
    write(agent_file, "\n".join(f"{name}=x" for name in [*OF_A_SITE, "KEY", "MYAGENT_MODEL_X"]))
    assert beside(agent_file) == {"KEY": "x", "MYAGENT_MODEL_X": "x"}


def test_an_agent_need_not_have_one(agent_file: Path) -> None:
    assert beside(agent_file) == {}
    agent_file.with_name(".env").mkdir()
    assert beside(agent_file) == {}, "so are environments of Python called"


def test_it_lies_beside_the_file_itself_and_not_beside_a_link_to_it(
    agent_file: Path, tmp_path: Path
) -> None:
    agent_file.touch()
    write(agent_file, "KEY=x")
    link = tmp_path / "elsewhere" / "link.py"
    link.parent.mkdir()
    link.symlink_to(agent_file)
    assert beside(link) == {"KEY": "x"}


def test_a_line_that_is_no_setting_is_named_and_not_shown(agent_file: Path) -> None:
    write(agent_file, "A=1\nsk-secret")
    with pytest.raises(EnvFileError, match=r"\.env, line 2") as caught:
        beside(agent_file)
    assert "sk-secret" not in str(caught.value)


def test_without_python_dotenv_a_program_goes_on_and_is_told(
    agent_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(agent_file, "KEY=x")
    monkeypatch.setitem(sys.modules, "dotenv", None)
    with caplog.at_level(logging.WARNING):
        agent_env.apply_beside(agent_file)
    assert "python-dotenv" in caplog.text


PROGRAM = """
import asyncio, os
from my_package.agents import agent

os.chdir("/")
print(asyncio.run(agent.arun("look")))
print(os.environ["SET"], os.environ.get("DATABASE_URL"))
"""

AGENT = """
import os
from myagent import create_react_agent, tool
from myagent.testing import ScriptedModel, call

@tool
def look() -> str:
    return os.environ["KEY"]

def script(request):
    return request.texts[-1] if len(request.texts) > 1 else call("look")

agent = create_react_agent(tools=[look], model=ScriptedModel(script))
"""


def test_arun_reads_it_whatever_the_folder_and_what_is_set_wins(tmp_path: Path) -> None:
    package = tmp_path / "program" / "my_package"
    package.mkdir(parents=True)
    (package / "agents.py").write_text(AGENT)
    (package / ".env").write_text("KEY = of the agent\nSET=file\nDATABASE_URL=mysql://x\n")
    (tmp_path / ".env").write_text("KEY=of the folder\n")
    program = package.with_name("program.py")
    program.write_text(PROGRAM)
    environment = {"PATH": os.environ["PATH"], "SET": "before", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ended.stdout == "of the agent\nbefore None\n", ended.stderr


def test_an_agent_knows_the_file_that_made_it() -> None:
    agent = create_react_agent(model=ScriptedModel([]))
    assert agent.file == Path(__file__)
    assert replace(agent, name="another").file == Path(__file__)
