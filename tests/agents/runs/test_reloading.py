"""`--reload` works under every name of the command."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from agents.runs.reloading import Changes
from tests.runners import ROOT, STOP_S

pytestmark = pytest.mark.processes

NAMES = {
    "manage.py": ["manage.py", "runagent"],
    "python -m": ["-m", "myagent.cli.server", "server"],
    "myagent-ws": ["-c", "from myagent.cli.server import main; main()", "server"],
}


async def test_a_change_of_the_environment_beside_the_agent_file_counts(tmp_path: Path) -> None:
    changes = Changes(tmp_path)
    await changes.watch()
    (tmp_path / ".env").write_text("A=1\n")
    async with asyncio.timeout(60), aclosing(aiter(changes)) as found:
        await anext(found)


@pytest.mark.parametrize("command", NAMES.values(), ids=NAMES)
def test_the_agent_file_is_served_by_a_child_that_leaves_with_its_parent(
    command: list[str], tmp_path: Path
) -> None:
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'site.db'}",
        "MYAGENT_VAR_DIR": str(tmp_path),
        "MYAGENT_ENV_FILE": os.devnull,
        "PYTHONUNBUFFERED": "1",
    }
    arguments = ["examples/echo_agent.py", "--host", "127.0.0.1", "--port", "0", "--reload"]
    with subprocess.Popen(
        [sys.executable, *command, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            lines = iter(process.stdout.readline, "")
            assert any("is ready at ws://" in line for line in lines)
            process.terminate()
            assert process.wait(STOP_S) == 0
        finally:
            process.kill()
