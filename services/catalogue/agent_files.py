"""Agent files on the disk: which may be registered, and whether they exist."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext_noop

from services.catalogue.paths import reached
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
    unreachable = gettext_noop("The file {path} can't be reached: {reason}.")
    with reached("agent_factory_path", value, unreachable):
        path = path.expanduser().absolute()
        is_there = path.is_file()
    if not is_there:
        raise invalid(
            "agent_factory_path", gettext_noop("There is no file {path}."), path=str(path)
        )
    return str(path)


def trusted(folders: Iterable[str]) -> list[str]:
    """The folders that exist, are not the root, and that only this user or root may change."""
    found = [Path(folder).resolve() for folder in folders]
    user, group = os.geteuid(), os.getegid()
    return [
        str(folder)
        for folder in found
        if folder.is_dir()
        and folder.parent != folder
        and not is_exposed(folder.stat(), user=user, group=group)
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
            around = [folder for folder in folders if resolved.is_relative_to(folder)]
            if around and resolved.is_file():
                _refuse_exposed(resolved, max(around, key=lambda folder: len(folder.parts)))
                return str(resolved)
        except (OSError, RuntimeError, ValueError):
            # A name that is too long, or that no file can have; a loop of symbolic links.
            continue
    raise invalid(
        "agent_factory_path",
        gettext_noop("There is no file '{path}' below the folders of MYAGENT_AGENT_DIRS."),
        path=str(path),
    )


def _refuse_exposed(file: Path, folder: Path) -> None:
    """Raises if others may change the file, or a folder between it and the allowed folder.

    They could run code as the site's user: the REST interface is open to all users of this machine.
    """
    below = len(file.parts) - len(folder.parts)
    for place in (file, *file.parents[: below - 1]):
        if is_exposed(place.stat(), user=os.geteuid(), group=os.getegid()):
            raise invalid(
                "agent_factory_path",
                gettext_noop(
                    "The agent file can't be registered, because not only the site's user may "
                    "change {place}. It must belong to that user or to root, and others must not "
                    "be allowed to write to it."
                ),
                place=str(place),
            )


def is_exposed(found: os.stat_result, *, user: int, group: int) -> bool:
    """Whether anybody but this user, root and this group may change a file or folder."""
    if found.st_uid not in (0, user) or found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and found.st_gid != group
