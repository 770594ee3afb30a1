"""The folder of the workers' sockets: created when needed, cleaned up by its last user."""

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
"""The longest path of a Unix socket, in bytes, without the zero at its end."""

SHORT_FOLDER = "/tmp"
"""Used where the path of the temporary folder is too long, as on macOS."""

STALE_AFTER_S = 10.0
"""Seconds after which a socket that refuses is dead: a new one refuses until it listens."""


class Stay:
    """Held by a process as long as it launches workers; at its start it removes dead sockets.

    When the last holder ends, a folder outside the var folder is removed, unless a worker still
    listens there. Raises `ImproperlyConfigured`.
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
            # Only the last holder gets the exclusive lock, and nobody else can get a lock
            # meanwhile.
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
    # Anybody can create a symbolic link in a temporary folder.
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
        # The last holder has just removed it.
        _made()


def _is_at(folder: Path, number: int) -> bool:
    """Whether the open folder is still the one at that path."""
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
            continue  # Its worker removed it first.
        except OSError as error:
            logger.warning("socket_not_looked_at", path=str(path), reason=str(error))
