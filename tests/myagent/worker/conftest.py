from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.myagent.worker.processes import Launch, workers
from tests.myagent.worker.workers import Worker


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    """With the site's own interpreter."""
    folder = tmp_path / "agents of mine"
    folder.mkdir()
    return Worker(folder, tmp_path / "var")


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment in which nothing is installed."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return str(folder / "bin" / "python")


@pytest.fixture
def bare_worker(worker: Worker, bare_python: str) -> Worker:
    worker.python = bare_python
    return worker


@pytest.fixture
def launch() -> Iterator[Launch]:
    with workers() as start:
        yield start
