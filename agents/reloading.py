"""`--reload`: a child process serves; this one watches the agent file and restarts it.

The listening socket belongs to the parent, so clients that reconnect while
the child restarts wait in line and are not refused.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from watchfiles import PythonFilter, watch

logger = structlog.get_logger(__name__)

STOP_S = 10.0
"""Seconds that a child has to leave; a changed file can't wait for long runs."""


def run_with_reload(options: dict[str, Any], listener: socket.socket) -> int:
    """Serves until a signal ends it; the exit status."""
    folder = Path(options["file"]).resolve().parent
    leaving = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: leaving.set())
    child = _start(options, listener)
    try:
        if folder.is_dir():
            for _ in watch(folder, watch_filter=PythonFilter(), stop_event=leaving, debounce=200):
                logger.info("agent_file_changed")
                _stop(child)
                child = _start(options, listener)
        else:
            return child.wait()
    finally:
        _stop(child)
    return 0


def _start(options: dict[str, Any], listener: socket.socket) -> subprocess.Popen[bytes]:
    fd = listener.fileno()
    os.set_inheritable(fd, True)
    command = [
        sys.executable,
        # Not `sys.argv[0]`: the command has other names, with words of their own.
        str(settings.BASE_DIR / "manage.py"),
        "runagent",
        options["file"],
        f"--host={options['host']}",
        f"--fd={fd}",
        *(["--debug"] if options["debug"] else []),
        *([f"--name={options['name']}"] if options["name"] else []),
    ]
    # A session of its own: Ctrl-C reaches this process alone, which passes it on.
    return subprocess.Popen(
        command,
        pass_fds=[fd],
        start_new_session=True,
        env=os.environ | {"MYAGENT_SHUTDOWN_GRACE_S": "0"},
    )


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
