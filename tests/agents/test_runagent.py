"""The command's options, checked before anything is started, and what it warns about."""

from __future__ import annotations

import argparse
import io
from typing import Any

import pytest

from agents.management.commands.runagent import Command, service_name
from tests.ports import bound


@pytest.mark.parametrize("name", ["a", "my agent", "天气", "a-b_c.d", "x" * 100])
def test_a_name_for_people_is_a_name_for_a_service(name: str) -> None:
    assert service_name(name) == name


@pytest.mark.parametrize("name", ["", "a/b", "/", "x" * 101, "a\nb", "a\x00b", "\x1b[31m"])
def test_a_name_that_no_path_or_column_can_hold_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"^a name has .* no slash\.$"):
        service_name(name)


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
        Command(stderr=said, no_color=True).warn_about(listener)
    assert said.getvalue().startswith(f"WARNING: {host} can be reached") == is_warned
