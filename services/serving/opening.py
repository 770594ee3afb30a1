"""What commands that serve do once they have their port."""

from __future__ import annotations

import argparse
import socket
from typing import Any

from django.conf import settings
from django.utils.translation import gettext

from agents.runtime.listening import is_loopback
from agents.terminal.command import TerminalCommand
from services.catalogue import agent_files


def add_agent_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--agent-dir",
        action="append",
        default=[],
        metavar="DIR",
        help=gettext(
            "on loopback, where MYAGENT_AGENT_DIRS names none: a folder below which REST and "
            "the admin may register agent files. Repeatable"
        ),
    )


def trust_folders(listener: socket.socket, folders: list[str]) -> None:
    """Allows those of `--agent-dir`. To be called before the setting is read."""
    if is_loopback(listener) and not settings.MYAGENT_AGENT_DIRS:
        settings.MYAGENT_AGENT_DIRS = agent_files.trusted(folders)


def warn_if_open(command: TerminalCommand, *listeners: socket.socket) -> None:
    sentence = gettext(
        "WARNING: {address} can be reached from other machines, and MYAGENT_AUTH is open: "
        "whoever can connect can use the agents."
    )
    command.warn_where_open(sentence, *listeners)


def say(command: TerminalCommand, text: Any) -> None:
    command.stdout.write(text)
    command.stdout.flush()
