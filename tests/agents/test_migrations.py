"""What an older version stored is carried over, unless that version still runs."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agents.runtime.process import own_identity
from tests.runners import ROOT

pytestmark = pytest.mark.processes

OLD = (("services", "0003"), ("agents", "0004"))
"""The last state in which a service had a process of its own."""


class Site:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "site.db"
        self._environment = os.environ | {
            "DATABASE_URL": f"sqlite:///{self.file}",
            "MYAGENT_VAR_DIR": str(folder / "var"),
            "MYAGENT_ENV_FILE": os.devnull,
        }

    def migrate(self, *to: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity=0", *to],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.file)) as database:
            rows = database.execute(statement).fetchall()
            database.commit()
            return rows


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """As an older version left it: a server that owns a session."""
    site = Site(tmp_path)
    for target in OLD:
        assert site.migrate(*target).returncode == 0
    site.sql(
        "INSERT INTO agents_runner (id, service, host, port, process, source, version, started_at,"
        f" lease_until, report) VALUES ('r', 'weather', 'here', 1, '{own_identity()}', '', '',"
        " '2026-01-01', '2999-01-01', '{}')"
    )
    site.sql(
        "INSERT INTO agents_session (id, service, lang, tags, client, runner_id, epoch, last_seq,"
        " created_at, updated_at, close_reason) VALUES ('s', 'weather', 'en', '[]', '{}', 'r', 1,"
        " 0, '2026-01-01', '2026-01-01', '')"
    )
    yield site


def test_beside_a_living_process_of_before_nothing_is_changed_and_it_is_named(site: Site) -> None:
    refused = site.migrate()
    assert refused.returncode != 0
    assert "'weather' on here" in refused.stderr
    assert f"process {os.getpid()}" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert site.sql("SELECT runner_id FROM agents_session") == [("r",)]


@pytest.mark.parametrize(
    "end",
    ["ended_at = '2026-01-02'", pytest.param("lease_until = '2026-01-02'", marks=pytest.mark.long)],
)
def test_sessions_keep_their_owner(site: Site, end: str) -> None:
    site.sql(f"UPDATE agents_runner SET {end}")
    done = site.migrate()
    assert done.returncode == 0, done.stderr
    assert site.sql("SELECT owner_id FROM agents_session") == [("r",)]
    assert site.sql("SELECT id, service FROM agents_server") == [("r", "weather")]
