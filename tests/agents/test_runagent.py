"""The command's options, checked before anything is started."""

from __future__ import annotations

import argparse

import pytest

from agents.management.commands.runagent import service_name


@pytest.mark.parametrize("name", ["a", "my agent", "天气", "a-b_c.d", "x" * 100])
def test_a_name_for_people_is_a_name_for_a_service(name: str) -> None:
    assert service_name(name) == name


@pytest.mark.parametrize("name", ["", "a/b", "/", "x" * 101, "a\nb", "a\x00b", "\x1b[31m"])
def test_a_name_that_no_path_or_column_can_hold_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"^a name has .* no slash\.$"):
        service_name(name)
