"""The folder of the workers' sockets: made by whoever needs it, left clean by the last one out."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import structlog
from django.conf import settings

from agents.runtime.local_sockets import refuses
from agents.runtime.var_folder import unusable

logger = structlog.get_logger(__name__)

MOST_PATH_BYTES = 107 if sys.platform == "linux" else 103
"""Of a Unix socket's path, without the zero at its end."""

SHORT_FOLDER = "/tmp"
"""Where the temporary folder's own path is too long, as that of macOS is."""

STALE_AFTER_S = 10.0
"""Seconds from which on a socket that refuses is dead: a new one refuses until it listens."""


class Stay:
    """Held by a process for as long as it launches workers; dead ones' sockets go at its begin.

    At the end of the last stay a folder outside the var folder is removed,
    unless a worker listens there still. Raises `ImproperlyConfigured`.
    """

    def __init__(self) -> None:
        self._folder = run_folder()
        self._held: int | None = None
        if self._folder != _usual_folder():
            try:
                self._held = _hold(self._folder)
            except OSError as error:
                raise unusable(Path(settings.VAR_DIR), error) from error
        sweep(self._folder)

    def end(self) -> None:
        """May be called twice."""
        held, self._held = self._held, None
        if held is None:
            return
        try:
            # Only the last one gets it for itself; meanwhile nobody else comes in.
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._folder.rmdir()
        except OSError as error:
            logger.debug("run_folder_kept", folder=str(self._folder), reason=error.strerror)
        finally:
            os.close(held)


def run_folder() -> Path:
    """The folder of the workers' sockets, for its owner alone: `run` in the var folder.

    Where a socket's path would be too long, one under the temporary folder that
    belongs to that var folder. Raises `ImproperlyConfigured`.
    """
    try:
        return _made()
    except OSError as error:
        raise unusable(Path(settings.VAR_DIR), error) from error


def _made() -> Path:
    folder = _chosen_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Anybody can put a link into a temporary folder.
    found = folder.stat(follow_symlinks=folder == _usual_folder())
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, f"{folder} is not a folder")
    if found.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, f"{folder} belongs to somebody else")
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def _chosen_folder() -> Path:
    folder = _usual_folder()
    if _fits(folder):
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    name = f"myagent-{os.getuid()}-{digest}"
    temporary = Path(tempfile.gettempdir()) / name
    return temporary if _fits(temporary) else Path(SHORT_FOLDER) / name


def _usual_folder() -> Path:
    return Path(settings.VAR_DIR).absolute() / "run"


def _fits(folder: Path) -> bool:
    # An instance's id has 36 characters.
    return len(os.fsencode(folder)) + len("/.sock") + 36 <= MOST_PATH_BYTES


def _hold(folder: Path) -> int:
    """A lock on the folder that others may hold as well. Raises `OSError`."""
    while True:
        with suppress(FileNotFoundError):
            number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(number, fcntl.LOCK_SH)
            if _is_at(folder, number):
                return number
            os.close(number)
        # Who was the last one has just removed it.
        _made()


def _is_at(folder: Path, number: int) -> bool:
    """Whether that open folder is the one that is found there."""
    try:
        return os.path.samestat(os.fstat(number), folder.stat())
    except FileNotFoundError:
        return False


def sweep(folder: Path) -> None:
    """Removes sockets at which nobody listens any more, as a power cut leaves them."""
    for path in folder.glob("*.sock"):
        try:
            is_old = time.time() - path.lstat().st_mtime > STALE_AFTER_S
            if is_old and refuses(path):
                path.unlink()
                logger.info("stale_socket_removed", path=str(path))
        except FileNotFoundError:
            continue  # Its worker was faster.
        except OSError as error:
            logger.warning("socket_not_looked_at", path=str(path), reason=str(error))
