"""Alerts about the database: away, silent, slow, or held by somebody else."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from tests.conftest import serve
from tests.databases import migrate
from tests.deploy.alerts.watched import ECHO, Watched, talkers, watched_site
from tests.deploy.prometheus import Alert
from tests.locks import locking_the_log
from tests.recording import Recorder
from tests.servers import MariaDB, execute_sql

pytestmark = [pytest.mark.processes, pytest.mark.long]

CLIENTS = 4
NAME = "site"
SLOW_S = 2.0


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
def connected(port: int) -> Iterator[Any]:
    """A cursor, outside the site."""
    import MySQLdb

    with closing(MySQLdb.connect(host="127.0.0.1", port=port, user="root", db=NAME)) as one:
        yield one.cursor()


async def test_a_log_that_somebody_else_locks_for_seconds(
    watched: Watched, mariadb: MariaDB
) -> None:
    url = watched.site.url(watched.site.commands[0], "echo")
    with locking_the_log(mariadb.port, NAME, held_s=SLOW_S):
        async with talkers(url, CLIENTS):
            alert = await watched.prometheus.fires("MyAgentLogSlow")
    assert alert.summary.endswith("commits slowly: every message waits for that")


async def test_a_log_that_somebody_else_locks_for_good(watched: Watched, mariadb: MariaDB) -> None:
    """The database answers, and takes nothing."""
    serving, prometheus = watched.site.commands[0], watched.prometheus
    async with await Recorder.open(watched.site.url(serving, "echo")) as client:
        session = await client.create_session()
        with connected(mariadb.port) as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT id FROM agents_session WHERE id=%s FOR UPDATE", [session])
            await client.say(session, "hello")
            await prometheus.fires("MyAgentDatabaseDown")
            assert prometheus.query("myagent_database_up == 1")
            await asyncio.to_thread(serving.wait_for_log, "storage_away")
        await client.until("agent.final_answer")
