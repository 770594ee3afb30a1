"""Processes of services that run elsewhere, which tests may kill."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port
from tests.runners import ROOT


class ForeignService:
    """A process of a module in `tests`; `sent` is a file with the number of frames of a flood."""

    def __init__(self, module: str, port: int, sent: Path) -> None:
        self.url = f"ws://127.0.0.1:{port}/"
        self.sent = sent
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"tests.{module}", str(port)],
            cwd=ROOT,
            env=os.environ | {"SENT": str(sent)},
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"listens\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def foreign_service(module: str, folder: Path, port: int = 0) -> Iterator[ForeignService]:
    service = ForeignService(module, port or free_port(), folder / "sent")
    try:
        yield service
    finally:
        service.kill()
        assert service.process.stdout is not None
        service.process.stdout.close()
