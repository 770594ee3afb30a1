"""Processes that sleep for a while, as a machine that is suspended makes them."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from urllib.parse import urlsplit

import psutil

from tests.crash.witness import PATIENCE_S, connection
from tests.locks import LOOK_S, TRANSACTIONS

FREE_WITHIN_S = 1.0
"""Seconds in which those who are awake let go of the database."""


def freeze(pid: int, database_url: str) -> None:
    """Stops it, but not while it holds a lock in the database: that would stop everybody.

    SIGCONT wakes it.
    """
    process = psutil.Process(pid)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        process.send_signal(signal.SIGSTOP)
        while process.status() != psutil.STATUS_STOPPED:
            os.sched_yield()
        if _becomes_free(database_url):
            return
        process.send_signal(signal.SIGCONT)
        assert time.monotonic() < deadline, "It always holds a lock."


def _becomes_free(database_url: str) -> bool:
    """Whether there is a moment at which nobody writes."""
    if database_url.startswith("sqlite:///"):
        file = urlsplit(database_url).path
        with closing(sqlite3.connect(file, timeout=FREE_WITHIN_S)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            return True
    deadline = time.monotonic() + FREE_WITHIN_S
    with connection(database_url) as database, closing(database.cursor()) as cursor:
        while time.monotonic() < deadline:
            cursor.execute(TRANSACTIONS)
            if cursor.fetchone() == (0,):
                return True
            time.sleep(LOOK_S)
    return False
