"""The name of the program that people have typed, for hints at other commands of it."""

from __future__ import annotations

import sys
from pathlib import Path

INSTALLED = "myagent-ws"

SHARED = frozenset({"serve", "services"})
"""The commands of `manage.py` that the installed program has, too."""


def command(verb: str) -> str:
    """The command line that runs the verb, in the words of the program that runs."""
    is_installed = Path(sys.argv[0]).name == INSTALLED
    return f"{INSTALLED if is_installed and verb in SHARED else 'manage.py'} {verb}"
