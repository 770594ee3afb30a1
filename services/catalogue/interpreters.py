"""Interpreters that run agent files: which may be chosen, and whether they exist."""

from __future__ import annotations

import os
from pathlib import Path

from django.utils.translation import gettext_noop

from services.catalogue.paths import reached
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
    unreachable = gettext_noop("The interpreter {path} can't be reached: {reason}.")
    with reached("python", value, unreachable):
        path = Path(value).expanduser().absolute()
        is_there = path.is_file()
        may_run = os.access(path, os.X_OK)
    if not is_there:
        raise invalid("python", gettext_noop("There is no interpreter {path}."), path=str(path))
    if not may_run:
        raise invalid(
            "python", gettext_noop("The interpreter {path} is not executable."), path=str(path)
        )
    return str(path)
