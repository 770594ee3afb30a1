"""What a server says that it holds."""

from __future__ import annotations

import json
import urllib.request


def connections_at(port: int) -> tuple[int, int]:
    """Open sockets, and sessions in memory."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30) as answer:
        told = json.load(answer)
    return told["active_connections"], told["active_sessions"]
