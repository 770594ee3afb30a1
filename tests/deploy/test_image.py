"""What a container of the image does that is told nothing else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agents.runtime.exit_status import CONFIGURATION_ERROR
from tests.runners import ROOT

SCRIPT = ROOT / "deploy" / "image" / "serve-agents"


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    """A folder as people mount it, beside a command that says what it was asked for."""
    command = tmp_path / "bin" / "myagent-ws"
    command.parent.mkdir()
    command.write_text('#!/bin/sh\necho "$@"\n', "utf-8")
    command.chmod(0o755)
    folder = tmp_path / "agents"
    folder.mkdir()
    return folder


def run(agents: Path) -> subprocess.CompletedProcess[str]:
    path = f"{agents.parent / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        [str(SCRIPT), str(agents)],
        env={"PATH": path}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "files, served",
    [
        (["my agent.py"], "my agent.py"),
        (["agent.py", "b.py"], "agent.py"),
        (["a.py", "b.txt"], "a.py"),
    ],
)
def test_it_serves_the_one_agent_file(agents: Path, files: list[str], served: str) -> None:
    for name in files:
        (agents / name).touch()
    assert run(agents).stdout == f"server {agents / served} --host 0.0.0.0 --port 8080\n"


@pytest.mark.parametrize("files", [[], ["a.py", "b.py"], ["a.txt"]])
def test_where_it_cannot_know_it_says_how_to_tell_it(agents: Path, files: list[str]) -> None:
    for name in files:
        (agents / name).touch()
    found = run(agents)
    assert found.returncode == CONFIGURATION_ERROR
    assert "say which file to serve" in found.stderr
