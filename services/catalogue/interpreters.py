"""Interpreters that run agent files: which may be named, and whether they are there."""

from __future__ import annotations

import os
from pathlib import Path

from django.utils.translation import gettext_noop

from services.fields import invalid


def found(value: str, *, is_confined: bool) -> str:
    """The interpreter's absolute path.

    Its links are not resolved: that of a virtual environment is one, and by
    its name it knows where its packages are. `is_confined`: the asker comes
    over the network, from where no program is chosen that runs here.
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
