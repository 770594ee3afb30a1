"""Serves the MySQL agent with its pages at http://localhost:8000/, from any Python.

Run it with: python examples/websocket_trace_server.py

It is short for `scripts/server examples/mysql_agent.py --port 8000`, and takes the same options:
docs/mysql-example.md says what the agent needs.
"""

import os
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
SERVER = EXAMPLES.parent / "scripts" / "server"


def main() -> None:
    """Becomes the server; of an option that is given twice, the last counts."""
    agent = EXAMPLES / "mysql_agent.py"
    os.execv(SERVER, [str(SERVER), str(agent), "--port", "8000", *sys.argv[1:]])


if __name__ == "__main__":
    main()
