"""Short commands import what they need, and no more: imports are most of their time."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from agents.runtime.imports import as_if_missing
from tests.agents.runtime.short_commands import said_by

LIST = """
import atexit, runpy, sys
# What is registered first is called last.
atexit.register(lambda: print("imported:", *sys.modules))
sys.path.insert(0, ".")
sys.argv = ["manage.py", "services", "list"]
runpy.run_path("manage.py", {}, "__main__")
"""

FOR_SERVERS_ALONE = {
    *("agents.log.journal", "agents.runs.link", "agents.sessions.live", "myagent.agent"),
    *("pydantic", "twisted", "uvicorn", "rich.traceback"),
}


def test_a_module_is_missing_inside_and_found_afterwards() -> None:
    sys.modules.pop("this", None)
    with as_if_missing("this"), pytest.raises(ModuleNotFoundError):
        importlib.import_module("this")
    assert "this" not in sys.modules


def test_a_module_that_is_there_stays() -> None:
    with as_if_missing("subprocess"):
        assert importlib.import_module("subprocess") is subprocess
    assert sys.modules["subprocess"] is subprocess


@pytest.mark.processes
def test_a_command_that_asks_the_database_imports_nothing_of_a_server(tmp_path: Path) -> None:
    said = said_by(LIST, tmp_path)
    imported = set(said.rpartition("imported:")[2].split())
    assert "services.models" in imported
    assert not FOR_SERVERS_ALONE & imported
