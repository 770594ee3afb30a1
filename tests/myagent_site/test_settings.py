"""Settings that are wrong end every command with one sentence that says which and why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import channels_redis.core
import pytest

from myagent_site import settings
from myagent_site.options import OPTIONS
from tests.runners import ROOT

pytestmark = pytest.mark.processes

NAMES = {option.name for option in OPTIONS}


def check(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "check", **environment)


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command with these settings and no others."""
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    usual = {"MYAGENT_ENV_FILE": os.devnull, "MYAGENT_VAR_DIR": str(folder / "var")}
    return subprocess.run(
        [sys.executable, "manage.py", *command],
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
        ({"MYAGENT_AUTH": "tokens"}, "MYAGENT_AUTH must be one of: open, token."),
        ({"MYAGENT_LAUNCHER": "docker"}, "MYAGENT_LAUNCHER must be one of: local, ray."),
        ({"REDIS_URL": "hunter2@localhost"}, "REDIS_URL must begin with one of: redis://"),
        ({"MYAGENT_LEASE_S": "soon"}, "MYAGENT_LEASE_S must be a number from 0 to 1000000000, not"),
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


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("MYAGENT_RUN_TIMEOUT_S", text) for text in ("10m", "5min", "1,000", "1e400", "nan")),
        *(("MYAGENT_RUN_TIMEOUT_S", text) for text in ("0x10", "-1", "inf", "１０s")),
        *(("MYAGENT_QUEUE_LENGTH", text) for text in ("1.5", "-1", "many", "9" * 5000)),
        *(("DEBUG", text) for text in ("maybe", "2", "truee")),
    ],
)
def test_no_wrong_value_is_taken_for_another_one(name: str, text: str) -> None:
    (option,) = (option for option in OPTIONS if option.name == name)
    with pytest.raises(ValueError, match=f"{name} must be "):
        option.parse(text)


def test_a_number_below_zero_is_told_where_numbers_begin() -> None:
    for option in OPTIONS:
        if option.kind in ("int", "float"):
            with pytest.raises(ValueError, match=r"number from 0 to \d+, not '-1'"):
                option.parse("-1")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("MYAGENT_RUN_TIMEOUT_S", " 1.5 ", 1.5),
        ("MYAGENT_RUN_TIMEOUT_S", "1e3", 1000.0),
        ("MYAGENT_RUN_TIMEOUT_S", "", 600.0),
        ("MYAGENT_QUEUE_LENGTH", "007", 7),
        ("DEBUG", "Yes", True),
        ("DEBUG", "off", False),
        ("MYSQL_PASSWORD", "$ecret ", "$ecret "),
        ("MYAGENT_ENV_ALLOWED", "", []),
        ("ALLOWED_HOSTS", "a.example, b.example,", ["a.example", "b.example"]),
    ],
)
def test_a_value_is_what_was_written(name: str, text: str, value: object) -> None:
    (option,) = (option for option in OPTIONS if option.name == name)
    assert option.parse(text) == value


def test_a_file_of_settings_with_a_typo_is_one_sentence_without_the_key(tmp_path: Path) -> None:
    file = tmp_path / "my.env"
    file.write_text("MYAGENT_LEASE_S=15\nOPENAI_API_KEY: sk-very-secret\n")
    ended = check(tmp_path, MYAGENT_ENV_FILE=str(file))
    assert ended.returncode == 1
    (sentence,) = (ended.stdout + ended.stderr).strip().splitlines()
    assert sentence == (
        f"The settings are wrong: {file}, line 2 is not a setting of the form NAME=value."
    )


def test_the_named_file_of_settings_is_read(tmp_path: Path) -> None:
    file = tmp_path / "my.env"
    file.write_text("MYAGENT_LEASE_S = soon\n")
    ended = check(tmp_path, MYAGENT_ENV_FILE=str(file))
    assert "MYAGENT_LEASE_S must be a number" in ended.stderr
    assert check(tmp_path).returncode == 0


@pytest.mark.parametrize(("base", "home"), [("", "/"), ("agents", "/agents/")])
def test_a_login_leads_to_the_home_page_of_the_site(tmp_path: Path, base: str, home: str) -> None:
    show = "from django.conf import settings; print(settings.LOGIN_REDIRECT_URL)"
    found = run(tmp_path, "shell", "-v0", "-c", show, MYAGENT_BASE_PATH=base)
    assert found.stdout.strip() == home, found.stderr


def test_an_answer_of_redis_is_not_overdue_while_it_may_be_waited_for() -> None:
    limit = channels_redis.core.RedisChannelLayer.brpop_timeout
    assert settings._REDIS["socket_timeout"] > limit


def test_choices_are_read_as_people_write_them(tmp_path: Path) -> None:
    assert not check(tmp_path, MYAGENT_AUTH=" Token ", MYAGENT_SUPERVISOR="").returncode


def test_a_number_that_services_can_not_work_with_is_refused(tmp_path: Path) -> None:
    ended = check(tmp_path, MYAGENT_HEALTH_INTERVAL_S="0")
    assert ended.returncode == 1
    assert "MYAGENT_HEALTH_INTERVAL_S must be greater than 0." in ended.stderr


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("supervise",), ("tokens", "list")])
def test_a_database_that_can_not_be_reached_is_one_sentence(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    nowhere = {"DATABASE_URL": "mysql://u:hunter2@127.0.0.1:1/site", "SECRET_KEY": "k" * 60}
    ended = run(tmp_path, *command, **nowhere)
    assert ended.returncode == 1
    assert "The database can't be used: " in ended.stderr
    assert "Traceback" not in ended.stderr and "hunter2" not in ended.stderr
