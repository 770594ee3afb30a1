"""What a worker is started with: its command line, its environment, and where it listens."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from agents.runs.run_folder import run_folder
from agents.runtime.var_folder import unusable
from myagent.sdk import sdk_folder
from myagent.sentence import Said
from myagent.worker import codec
from myagent.worker.protocol import LinkError

SECRETS = frozenset({"SECRET_KEY", "DATABASE_URL", "REDIS_URL"})
SECRET_PREFIXES = ("MYSQL_",)
OF_THE_SITE = frozenset({"DJANGO_SETTINGS_MODULE", "PYTHONPATH"})

MOST_FAILURE_BYTES = 256 * 1024
"""The largest failure file, in bytes: a larger one was not written by a worker."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where an instance listens, and the file that says why it could not be loaded."""

    socket: Path
    failure: Path

    @classmethod
    def of(cls, instance_id: str) -> Paths:
        folder = run_folder()
        return cls(folder / f"{instance_id}.sock", folder / f"{instance_id}.failure")

    def why_refused(self) -> Said:
        """What the worker left in the failure file.

        Raises `OSError` and `LinkError`: the file may hold anything, of any size.
        """
        # Opening a pipe would block, and a symbolic link may lead anywhere.
        number = os.open(self.failure, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with open(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise LinkError("it is not a file")
            data = file.read(MOST_FAILURE_BYTES + 1)
        if len(data) > MOST_FAILURE_BYTES:
            raise LinkError(f"it has more than {MOST_FAILURE_BYTES} bytes")
        return codec.decode_said(data)

    def remove(self) -> None:
        for path in (self.socket, self.failure):
            path.unlink(missing_ok=True)


def command_of(file: str, instance_id: str, *options: str, python: str = "") -> list[str]:
    """The command line of a worker for an agent file."""
    paths = Paths.of(instance_id)
    return [
        python or sys.executable,
        # Its own folder is not on the import path: the agent file's is.
        "-P",
        "-m",
        "myagent.worker",
        file,
        f"--socket={paths.socket}",
        f"--failure={paths.failure}",
        f"--instance={instance_id}",
        *options,
    ]


def with_sdk(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the site's own variables, with the import path of the SDK.

    Raises `ImproperlyConfigured`.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name not in SECRETS | OF_THE_SITE and not name.startswith(SECRET_PREFIXES)
    }
    var_dir = Path(settings.VAR_DIR)
    try:
        return kept | {"PYTHONPATH": str(sdk_folder(var_dir))}
    except OSError as error:
        raise unusable(var_dir, error) from error
