"""The commands of the site: as people type them, and as processes start them."""

from __future__ import annotations

import sys
from pathlib import Path

from django.conf import settings

INSTALLED = "myagent-ws"

SHARED = frozenset({"serve", "services"})
"""The commands of `manage.py` that the installed program has, too."""


def command(verb: str) -> str:
    """The command line that runs the verb, in the words of the program that runs."""
    is_installed = Path(sys.argv[0]).name == INSTALLED
    return f"{INSTALLED if is_installed and verb in SHARED else 'manage.py'} {verb}"


def command_line(verb: str) -> list[str]:
    """The command as a process of its own, in a checkout and where the site is installed."""
    program = Path(settings.BASE_DIR) / "manage.py"
    if program.is_file():
        return [sys.executable, str(program), verb]
    return [sys.executable, "-m", "myagent.cli.server", verb]
