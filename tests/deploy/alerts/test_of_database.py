"""Alerts about the database: away, silent, slow, or without a table."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.conftest import serve
from tests.databases import migrate
from tests.deploy.alerts.watched import ECHO, Watched, talkers, watched_site
from tests.deploy.prometheus import Alert
from tests.servers import MariaDB, execute_sql

pytestmark = pytest.mark.processes

CLIENTS = 4
NAME = "site"
SLOW_S = 2


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDB]:
    """One that may be stopped."""
    for server in serve(MariaDB):
        assert isinstance(server, MariaDB)
        execute_sql(server.port, f"CREATE DATABASE {NAME} CHARACTER SET utf8mb4")
        migrate(server.url(NAME))
        yield server


@pytest.fixture(scope="module")
def watched(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A site on it, with a service."""
    with watched_site(mariadb.url(NAME), tmp_path_factory.mktemp("site")) as watched:
        watched.serve()
        watched.register("echo", ECHO)
        yield watched


def says_what_is_wrong(watched: Watched, alert: Alert) -> None:
    said = watched.carry_out(alert, expect=1)
    assert re.search(r"problem\W+database\b", said), said


def test_a_database_that_is_stopped(watched: Watched, mariadb: MariaDB) -> None:
    mariadb.kill()
    alert = watched.prometheus.until_firing("MyAgentDatabaseDown")
    says_what_is_wrong(watched, alert)
    mariadb.restart()
    watched.prometheus.until_quiet("MyAgentDatabaseDown")


def test_a_database_that_does_not_answer(watched: Watched, mariadb: MariaDB) -> None:
    os.kill(mariadb.pid, signal.SIGSTOP)
    try:
        alert = watched.prometheus.until_firing("MyAgentDatabaseDown")
        says_what_is_wrong(watched, alert)
        # A scrape was too late at first, as these don't wait for the ten seconds of others.
        watched.prometheus.until_quiet("MyAgentServerDown")
        assert watched.prometheus.firing("MyAgentDatabaseDown")
    finally:
        os.kill(mariadb.pid, signal.SIGCONT)
    watched.prometheus.until_quiet("MyAgentDatabaseDown")


@contextmanager
def locking(port: int) -> Iterator[None]:
    """Somebody who locks the log for seconds, again and again."""
    import MySQLdb

    is_over = threading.Event()

    def lock() -> None:
        with closing(MySQLdb.connect(host="127.0.0.1", port=port, user="root", db=NAME)) as one:
            while not is_over.is_set():
                one.cursor().execute("LOCK TABLES agents_event WRITE")
                is_over.wait(SLOW_S)
                one.cursor().execute("UNLOCK TABLES")

    thread = threading.Thread(target=lock)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


async def test_a_log_that_somebody_else_locks(watched: Watched, mariadb: MariaDB) -> None:
    url = watched.site.url(watched.site.commands[0], "echo")
    with locking(mariadb.port):
        async with talkers(url, CLIENTS):
            alert = await asyncio.to_thread(watched.prometheus.until_firing, "MyAgentLogSlow")
    assert alert.summary.endswith("commits slowly: every message waits for that")


async def test_a_table_of_traces_that_is_missing(watched: Watched, mariadb: MariaDB) -> None:
    serving = watched.site.commands[0]
    execute_sql(mariadb.port, f"RENAME TABLE {NAME}.traces_span TO {NAME}.away")
    async with talkers(watched.site.url(serving, "echo"), 1):
        alert = await asyncio.to_thread(
            watched.prometheus.until_firing, "MyAgentTracesNotRecorded"
        )
    execute_sql(mariadb.port, f"RENAME TABLE {NAME}.away TO {NAME}.traces_span")
    assert any(word in serving.log for word in re.findall(r"`(\w+)`", alert.action))
