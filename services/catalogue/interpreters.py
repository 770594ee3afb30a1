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
    path = Path(value).expanduser().absolute()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise invalid("python", gettext_noop("There is no interpreter {path}."), path=str(path))
    return str(path)
