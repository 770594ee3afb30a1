"""Interpreters that run agent files: which may be chosen, and whether they exist."""

from __future__ import annotations

import os
from pathlib import Path

from django.utils.translation import gettext_noop

from services.fields import invalid


def found(value: str, *, is_confined: bool) -> str:
    """The interpreter's absolute path.

    Links are not resolved: the interpreter of a virtual environment is a link, and finds its
    packages by its own path. `is_confined`: the request comes over the network, which must not
    choose a program that runs here.
    """
    if is_confined:
        raise invalid(
            "python",
            gettext_noop(
                "No interpreter can be chosen from here: name it with the command, services "
                "register --python."
            ),
        )
    try:
        path = Path(value).expanduser().absolute()
        is_there = path.is_file() and os.access(path, os.X_OK)
    except (OSError, RuntimeError) as error:
        # A folder that can't be entered, a name that is too long; `~` of a user that there is not.
        raise invalid(
            "python",
            gettext_noop("The interpreter {path} can't be reached: {reason}."),
            path=value,
            reason=getattr(error, "strerror", None) or str(error),
        ) from error
    if not is_there:
        raise invalid("python", gettext_noop("There is no interpreter {path}."), path=str(path))
    return str(path)
