"""Agent files on the disk: which may be registered, and whether they exist."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext_noop

from services.fields import invalid

NO_FOLDERS = gettext_noop(
    "Agent files can't be registered from here: MYAGENT_AGENT_DIRS names no folder. To "
    "allow those below the folder in which the site is started, start it with "
    "MYAGENT_AGENT_DIRS=."
)


def found(value: str, *, is_confined: bool) -> str:
    """The file's absolute path, links resolved."""
    path = Path(value)
    if is_confined:
        return _confined(path)
    path = path.expanduser().absolute()
    if not path.is_file():
        raise invalid(
            "agent_factory_path", gettext_noop("There is no file {path}."), path=str(path)
        )
    return str(path)


def trusted(folders: Iterable[str]) -> list[str]:
    """The folders that exist, are not the root, and are not writable by others."""
    found = [Path(folder).resolve() for folder in folders]
    return [
        str(folder)
        for folder in found
        if folder.is_dir() and folder.parent != folder and not folder.stat().st_mode & stat.S_IWOTH
    ]


def _confined(path: Path) -> str:
    """A path from the network: outside the allowed folders not even its existence is checked."""
    if not settings.MYAGENT_AGENT_DIRS:
        raise invalid(
            "agent_factory_path",
            NO_FOLDERS,
        )
    folders = [Path(folder).resolve() for folder in settings.MYAGENT_AGENT_DIRS]
    candidates = [path] if path.is_absolute() else [folder / path for folder in folders]
    for candidate in candidates:
        try:
            resolved = candidate.resolve()
            is_inside = any(resolved.is_relative_to(folder) for folder in folders)
            if is_inside and resolved.is_file():
                return str(resolved)
        except (OSError, RuntimeError):
            continue  # A name that is too long for a file, or a loop of symbolic links.
    raise invalid(
        "agent_factory_path",
        gettext_noop("There is no file '{path}' below the folders of MYAGENT_AGENT_DIRS."),
        path=str(path),
    )
