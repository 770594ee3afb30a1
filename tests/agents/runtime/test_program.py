"""Hints name commands that the person has."""

from __future__ import annotations

import pytest

from agents.runtime.program import command


@pytest.mark.parametrize(
    ("program", "verb", "named"),
    [
        ("/home/me/.venv/bin/myagent-ws", "serve", "myagent-ws serve"),
        ("/home/me/.venv/bin/myagent-ws", "supervise", "manage.py supervise"),
        ("./manage.py", "serve", "manage.py serve"),
        ("", "serve", "manage.py serve"),
    ],
)
def test_a_hint_names_the_program_that_runs_if_it_has_the_command(
    monkeypatch: pytest.MonkeyPatch, program: str, verb: str, named: str
) -> None:
    monkeypatch.setattr("sys.argv", [program, "services"])
    assert command(verb) == named
