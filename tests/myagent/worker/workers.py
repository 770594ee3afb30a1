"""Agent files in a process of their own, started as the site starts a worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

from myagent.sdk import sdk_folder

HERE = Path(__file__).parent

Write = Callable[..., Path]


class Worker:
    """A folder with agent files and their neighbours, and an interpreter to run them with."""

    def __init__(self, folder: Path, var_dir: Path, python: str = sys.executable) -> None:
        self.folder = folder
        self.python = python
        self._var_dir = var_dir

    def write(self, **sources: str) -> None:
        """Files by stem, or by path with `__` for the slash."""
        for name, source in sources.items():
            path = self.folder / f"{name.replace('___', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(source))

    def run(
        self, name: str, text: str = "", *, cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(sdk_folder(self._var_dir)), str(HERE)])
        return subprocess.run(
            [self.python, "-P", "-m", "stand_in", str(self.folder / name), text],
            cwd=cwd or self.folder,
            env={"PATH": os.environ["PATH"], **env, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def answer(self, name: str, text: str = "", **options: Any) -> Any:
        done = self.run(name, text, **options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refusal(self, name: str, **options: Any) -> str:
        """What a file that can't be loaded is told."""
        done = self.run(name, **options)
        assert done.returncode == 1, done.stdout
        assert "Traceback" not in done.stderr
        return done.stderr.strip()

    def as_a_program(self, name: str, **env: str) -> str:
        """What `python FILE` prints."""
        done = subprocess.run(
            [self.python, str(self.folder / name)],
            cwd=self.folder.parent,
            env={"PATH": os.environ["PATH"], **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout
