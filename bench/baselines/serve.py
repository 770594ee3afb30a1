"""Serves a baseline exactly as `runagent` serves an agent: same server, same loop, same limits.

`python -m bench.baselines.serve bench.baselines.echo` prints its port as its first line.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
import sys

from agents.runtime.server import MainServer, configuration


def serve(name: str) -> None:
    module = importlib.import_module(name)
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    port = listener.getsockname()[1]
    config = configuration(module.app, is_debug=False)
    leave = getattr(module, "leave", _nothing_to_leave)
    server = MainServer(config, ready=lambda: print(port, flush=True), leave=leave)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[listener]))


async def _nothing_to_leave() -> None:
    """Most baselines hold nothing that has to be closed."""


if __name__ == "__main__":
    serve(sys.argv[1])
