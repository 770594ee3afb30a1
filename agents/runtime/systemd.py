"""What systemd is told where it started this process, by a unit of `Type=notify`.

`systemctl start` and `restart` wait for it, so that whoever restarts one server after the other
always has one that serves. Other programs that start processes know the protocol as well.
"""

from __future__ import annotations

import os
import socket

import structlog

logger = structlog.get_logger(__name__)

ADDRESS = "NOTIFY_SOCKET"


def tell_ready() -> None:
    """Says, once, that this process does its work from now on."""
    address = os.environ.pop(ADDRESS, "")
    if not address:
        return
    if address.startswith("@"):
        # A name without a file.
        address = f"\0{address[1:]}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"READY=1", address)
    except OSError as error:
        logger.warning("systemd_not_told", error=str(error))
