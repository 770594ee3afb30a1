"""The environment of a worker, and where its variables come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.runs.worker_process import environment_for


@pytest.fixture
def file(tmp_path: Path, settings: Any) -> str:
    settings.VAR_DIR = tmp_path / "var"
    settings.FROM_ENV_FILE = frozenset()
    (tmp_path / ".env").write_text("KEY=beside\nOPENAI_MODEL=beside\nDATABASE_URL=mysql://x\n")
    return str(tmp_path / "agent.py")


@pytest.mark.parametrize(
    ("environment", "from_site", "given", "model"),
    [
        ({}, [], {}, "beside"),
        ({"OPENAI_MODEL": "set"}, [], {}, "set"),
        ({"OPENAI_MODEL": "site"}, ["OPENAI_MODEL"], {}, "beside"),
        ({"OPENAI_MODEL": "set"}, [], {"OPENAI_MODEL": "given"}, "given"),
        ({"OPENAI_MODEL": "site"}, ["OPENAI_MODEL"], {"OPENAI_MODEL": "given"}, "given"),
    ],
)
def test_what_was_meant_for_it_most_wins(
    file: str, settings: Any, environment: Any, from_site: Any, given: Any, model: str
) -> None:
    settings.FROM_ENV_FILE = frozenset(from_site)
    found = environment_for(file, environment, given)
    assert (found["OPENAI_MODEL"], found["KEY"]) == (model, "beside")
    assert "DATABASE_URL" not in found


def test_of_the_site_s_own_file_it_gets_the_model_and_what_is_passed_on(
    file: str, settings: Any
) -> None:
    names = ["OPENAI_API_KEY", "LLM_MODEL", "SITE_KEY", "PASSED_KEY", "SECRET_KEY"]
    settings.FROM_ENV_FILE = frozenset(names)
    settings.MYAGENT_PASS_ENV = ["PASSED_KEY"]
    environment = dict.fromkeys([*names, "OF_THE_SHELL"], "x")
    found = set(environment_for(file, environment))
    assert found == {
        *("OPENAI_API_KEY", "LLM_MODEL", "PASSED_KEY", "OF_THE_SHELL"),
        *("KEY", "OPENAI_MODEL", "PYTHONPATH"),
    }


def test_the_file_beside_can_not_ask_for_what_is_the_site_s(
    file: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FROM_ENV_FILE = frozenset(["SITE_KEY"])
    environment = {"SECRET_KEY": "s", "SITE_KEY": "s", "MYSQL_PASSWORD": "s", "HOME": "/home/ada"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    lines = "A=${SECRET_KEY}${SITE_KEY}${MYSQL_PASSWORD}\nB=${HOME}/b\nC=${B}/c\nD=${NONE:-d}\n"
    Path(file).with_name(".env").write_text(lines)
    found = environment_for(file, environment)
    assert [found[name] for name in "ABCD"] == ["", "/home/ada/b", "/home/ada/b/c", "d"]
