"""What a worker is started with: its command line, its environment, and where it listens."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from agents.var_folder import unusable
from myagent.sdk import sdk_folder

SECRETS = frozenset({"SECRET_KEY", "DATABASE_URL", "REDIS_URL"})
SECRET_PREFIXES = ("MYSQL_",)
OF_THE_SITE = frozenset({"DJANGO_SETTINGS_MODULE", "PYTHONPATH"})

MOST_PATH_BYTES = 107
"""Of a Unix socket's path."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where an instance listens, and where it leaves word of why it could not be loaded."""

    socket: Path
    failure: Path

    @classmethod
    def of(cls, instance_id: str) -> Paths:
        folder = run_folder()
        return cls(folder / f"{instance_id}.sock", folder / f"{instance_id}.failure")

    def remove(self) -> None:
        for path in (self.socket, self.failure):
            path.unlink(missing_ok=True)


def run_folder() -> Path:
    """The folder of the workers' sockets, for its owner alone: `run` in the var folder.

    Where a socket's path would be too long, one under the temporary folder that
    belongs to that var folder. Raises `ImproperlyConfigured`.
    """
    try:
        return _made_run_folder()
    except OSError as error:
        raise unusable(Path(settings.VAR_DIR), error) from error


def _made_run_folder() -> Path:
    folder = Path(settings.VAR_DIR).absolute() / "run"
    # An instance's id has 36 characters.
    if len(os.fsencode(folder)) + len("/.sock") + 36 > MOST_PATH_BYTES:
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"myagent-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, f"{folder} belongs to somebody else")
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def command_of(file: str, instance_id: str, *options: str, python: str = "") -> list[str]:
    """The command line of a worker for an agent file."""
    paths = Paths.of(instance_id)
    return [
        python or sys.executable,
        # Its own folder is not on its path: the agent file's is.
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
    """The environment, less what is the site's own, with the way to the SDK.

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
