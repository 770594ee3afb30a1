"""Workers as real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_S = 30

ECHO = """
from myagent import create_react_agent
from myagent.testing import ScriptedModel

agent = create_react_agent(name="echo", model=ScriptedModel(lambda asked: asked.texts[-1]))
"""


@dataclass
class WorkerProcess:
    """`path` is its socket; its standard error is kept in a file."""

    folder: Path
    path: Path
    process: subprocess.Popen[bytes]
    errors: Path
    fds: list[int] = field(default_factory=list)

    def wait(self) -> int:
        """Its exit status, as soon as it has ended."""
        return self.process.wait(PATIENCE_S)

    @property
    def said(self) -> str:
        return self.errors.read_text()


Launch = Callable[..., WorkerProcess]


@contextmanager
def workers() -> Iterator[Launch]:
    """A function that starts workers; they have a group of their own, and end with the test."""
    started: list[WorkerProcess] = []
    with tempfile.TemporaryDirectory(prefix="w") as name:

        def launch(source: str, *arguments: str, pass_fds: tuple[int, ...] = ()) -> WorkerProcess:
            folder = Path(name) / str(len(started))
            folder.mkdir()
            file, errors = folder / "agent.py", folder / "errors"
            file.write_text(source)
            command = [sys.executable, "-m", "myagent.worker", str(file)]
            command += ["--socket", str(folder / "s"), "--instance", "i1", *arguments]
            with errors.open("wb") as log:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    pass_fds=pass_fds,
                    process_group=0,
                    env={**os.environ, "PYTHONPATH": os.getcwd()},
                )
            worker = WorkerProcess(folder, folder / "s", process, errors)
            started.append(worker)
            return worker

        try:
            yield launch
        finally:
            for worker in started:
                # Its children hold the ends of its pipes.
                with suppress(ProcessLookupError):
                    os.killpg(worker.process.pid, signal.SIGKILL)
                worker.process.communicate()
