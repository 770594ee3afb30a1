"""`manage.py serve`: what is refused before anything listens, and what is said."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from agents.runtime.program import command_line
from services.management.commands.serve import Command
from services.serving.opening import warn_if_open
from tests.ports import bound


def test_several_processes_on_sqlite_are_refused_in_a_sentence(settings: Any) -> None:
    settings.IS_EMBEDDED = True
    with pytest.raises(CommandError, match="Several processes need MySQL or MariaDB"):
        call_command("serve", processes=2)


def test_without_redis_several_processes_are_warned_about(settings: Any) -> None:
    settings.IS_EMBEDDED = False
    said = io.StringIO()
    Command(stderr=said, no_color=True)._check_several()
    assert said.getvalue().startswith("WARNING: without REDIS_URL the processes hear")


@pytest.mark.parametrize(
    ("host", "auth", "is_warned"),
    [("0.0.0.0", "open", True), ("0.0.0.0", "token", False), ("127.0.0.1", "open", False)],
)
def test_what_other_machines_reach_and_nobody_guards_is_warned_about(
    settings: Any, host: str, auth: str, is_warned: bool
) -> None:
    settings.MYAGENT_AUTH = auth
    said = io.StringIO()
    with bound(host) as listener:
        warn_if_open(Command(stderr=said, no_color=True), listener)
    assert said.getvalue().startswith(f"WARNING: {host} can be reached") == is_warned


@pytest.mark.parametrize("count", ["0", "65", "-1", "two"])
def test_a_number_of_processes_that_can_not_be_is_refused(count: str) -> None:
    with pytest.raises(CommandError, match="give a number of processes from 1 to 64"):
        call_command("serve", f"--processes={count}")


def test_processes_are_started_with_the_program_of_a_checkout_or_an_installation(
    settings: Any, tmp_path: Path
) -> None:
    settings.BASE_DIR = tmp_path
    assert command_line("serve")[1:] == ["-m", "myagent.cli.server", "serve"]
    (tmp_path / "manage.py").touch()
    assert command_line("serve")[1:] == [str(tmp_path / "manage.py"), "serve"]
