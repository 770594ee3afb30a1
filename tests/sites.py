"""The site itself as a process: an ASGI server that hosts no agent."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Literal, Self

from django.conf import settings

from tests.ports import free_port
from tests.runners import ROOT, START_S, STOP_S

MARKS = {"uvicorn": "Uvicorn running on", "daphne": "Listening on TCP address"}


def url_of_test_database() -> str:
    """DATABASE_URL of the database that the tests' own rows are in."""
    database = settings.DATABASES["default"]
    if "sqlite" in database["ENGINE"]:
        return f"sqlite:///{database['NAME']}"
    return f"mysql://{database['USER']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"


class Site:
    """Created already listening, on `url`; its log lines are in `log`. End it with `with`."""

    def __init__(
        self,
        database_url: str,
        var_dir: Path,
        *,
        server: Literal["uvicorn", "daphne"] = "uvicorn",
        port: int = 0,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port or free_port()
        self.log: list[str] = []
        address = {
            "uvicorn": ["--host", "127.0.0.1", "--port", str(self.port), "--lifespan", "off"],
            "daphne": ["-b", "127.0.0.1", "-p", str(self.port)],
        }[server]
        self.process = subprocess.Popen(
            [sys.executable, "-m", server, *address, "myagent_site.asgi:application"],
            cwd=ROOT,
            env=os.environ
            | {
                "DATABASE_URL": database_url,
                "MYAGENT_VAR_DIR": str(var_dir),
                "MYAGENT_ENV_FILE": os.devnull,
                "MYAGENT_AGENT": "",
                # None that outlives the test.
                "MYAGENT_SUPERVISOR": "external",
                "SECRET_KEY": settings.SECRET_KEY,
                "PYTHONUNBUFFERED": "1",
            }
            | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self._listens = threading.Event()
        self._reader = threading.Thread(
            target=self._read, args=(self.process.stdout, MARKS[server]), daemon=True
        )
        self._reader.start()
        if not self._listens.wait(START_S) or self.process.poll() is not None:
            self.__exit__()
            raise AssertionError("".join(self.log))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Whoever still watches the console would be waited for.
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(STOP_S)
        self._reader.join(STOP_S)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self, stream: IO[str], mark: str) -> None:
        for line in stream:
            self.log.append(line)
            if mark in line:
                self._listens.set()
        self._listens.set()
