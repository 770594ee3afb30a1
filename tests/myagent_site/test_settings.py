"""Settings that are wrong end every command with one sentence that says which and why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from myagent_site.options import OPTIONS
from tests.runners import ROOT

pytestmark = pytest.mark.processes

NAMES = {option.name for option in OPTIONS}


def check(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check` with these settings and no others."""
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    usual = {"MYAGENT_ENV_FILE": os.devnull, "MYAGENT_VAR_DIR": str(folder / "var")}
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=clean | usual | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "part"),
    [
        ({"DATABASE_URL": "mysqll://root:hunter2@localhost/site"}, "DATABASE_URL must begin with"),
        ({"DATABASE_URL": "sqlite://"}, "DATABASE_URL must name a database"),
        ({"DATABASE_URL": "mysql://root:hunter2@localhost:x/site"}, "its port must be a number"),
        ({"MYAGENT_VAR_DIR": f"{os.devnull}/var"}, "The secret key can't be kept in"),
        ({"MYAGENT_ENV_FILE": "/nowhere/my.env"}, "MYAGENT_ENV_FILE names /nowhere/my.env"),
        ({"MYAGENT_ENV_FILE": os.path.dirname(__file__)}, "which is not a file."),
        ({"MYAGENT_LEASE_S": "soon"}, "MYAGENT_LEASE_S must be of type float, not 'soon'."),
    ],
)
def test_a_wrong_setting_is_one_sentence(
    tmp_path: Path, environment: dict[str, str], part: str
) -> None:
    ended = check(tmp_path, **environment)
    assert ended.returncode == 1
    (sentence,) = (ended.stdout + ended.stderr).strip().splitlines()
    assert sentence.startswith("The settings are wrong: ")
    assert part in sentence
    assert "hunter2" not in sentence


def test_the_named_file_of_settings_is_read(tmp_path: Path) -> None:
    file = tmp_path / "my.env"
    file.write_text("MYAGENT_LEASE_S=soon\n")
    ended = check(tmp_path, MYAGENT_ENV_FILE=str(file))
    assert "MYAGENT_LEASE_S must be of type float" in ended.stderr
    assert check(tmp_path).returncode == 0
