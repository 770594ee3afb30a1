"""The machines that services run on."""

from __future__ import annotations

import socket

LONGEST_NODE = 191


def this_node() -> str:
    """This machine's name for supervisors and workers."""
    return socket.gethostname()[:LONGEST_NODE]
