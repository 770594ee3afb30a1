"""Which ports of a host take connections: `python -m tests.attacks.scanning ADDRESS …`.

Prints, as JSON, the open TCP ports of each address. Every port is asked.
"""

from __future__ import annotations

import errno
import json
import socket
import sys

ANSWER_S = 2.0
CLOSED = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH)


def open_ports(address: str) -> list[int]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    found = []
    for port in range(1, 65536):
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_S)
            status = connection.connect_ex((address, port))
        if status == 0:
            found.append(port)
        elif status not in CLOSED:
            raise OSError(status, f"port {port} is neither open nor closed")
    return found


if __name__ == "__main__":
    print(json.dumps({address: open_ports(address) for address in sys.argv[1:]}))
