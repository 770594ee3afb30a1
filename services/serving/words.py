"""What a parent and its server processes tell each other: lines, on a pair of sockets.

That a socket ends tells each that the other one has ended.
"""

from __future__ import annotations

READY = b"ready\n"
"""From a process: it listens."""

OPEN_OWN_PORTS = b"open own ports\n"
"""To one of the processes: the services' own ports are its own from now on."""

ANNOUNCE = b"announce\n"
"""To a process: it takes no new work, and tells its clients."""

LEAVE = b"leave\n"
"""To a process: it ends now, whatever still runs in it."""
