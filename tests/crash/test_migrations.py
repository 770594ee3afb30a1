"""A first start that is interrupted at any point is finished by the next."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.crash.witness import query
from tests.databases import empty_database
from tests.runners import ROOT
from tests.servers import MariaDB, execute_sql

PATIENCE_S = 60.0
STATEMENTS = 60
"""More than these change tables at a first start, so many that the tests can't pass by none."""


def start(program: list[str], url: str, folder: Path, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *program],
        cwd=ROOT,
        env=os.environ
        | {"DATABASE_URL": url, "MYAGENT_VAR_DIR": str(folder / "var"), "PYTHONPATH": str(ROOT)}
        | {"MYAGENT_ENV_FILE": os.devnull, "SECRET_KEY": "x" * 50}
        | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output_of(process: subprocess.Popen[str]) -> str:
    out, errors = process.communicate(timeout=10 * PATIENCE_S)
    assert process.returncode == 0, errors
    return out


def state_of(url: str) -> list[Any]:
    """All tables as the database describes them, and the rows that migrations write."""
    if url.startswith("sqlite"):
        tables = query(url, "SELECT name, sql FROM sqlite_master ORDER BY name")
    else:
        names = [str(name) for (name,) in query(url, "SHOW TABLES")]
        tables = [query(url, f"SHOW CREATE TABLE {name}")[0] for name in sorted(names)]
    return [
        *tables,
        query(url, "SELECT app, name FROM django_migrations ORDER BY app, name"),
        query(url, "SELECT codename FROM auth_permission ORDER BY codename"),
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("undisturbed")
    with empty_database(folder) as url:
        output_of(start(["manage.py", "migrate"], url, folder))
        yield state_of(url)


@pytest.mark.long
def test_interrupted_at_every_statement_it_ends_as_if_undisturbed(
    mariadb: MariaDB, tmp_path: Path
) -> None:
    """On MariaDB, which can't roll back such statements."""
    urls = {name: mariadb.url(name) for name in ("undisturbed", "interrupted")}
    for name in urls:
        execute_sql(mariadb.port, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    output_of(start(["manage.py", "migrate"], urls["undisturbed"], tmp_path))
    program = start(["-m", "tests.crash.interrupted_migrate"], urls["interrupted"], tmp_path)
    assert int(output_of(program)) > 2 * STATEMENTS
    assert state_of(urls["interrupted"]) == state_of(urls["undisturbed"])


@pytest.mark.both_databases
def test_the_copies_that_other_tests_begin_with_are_what_a_migration_leaves(
    undisturbed: list[Any], fresh_database_url: str
) -> None:
    assert state_of(fresh_database_url) == undisturbed


@pytest.mark.both_databases
def test_killed_first_starts_are_finished_by_the_next_command(
    undisturbed: list[Any], empty_database_url: str, tmp_path: Path
) -> None:
    command = ["manage.py", "services", "list"]
    # The last point is after all migrations, before permissions and content types are created.
    for point in ("before migration 5", "after migration 9", "before migration end"):
        reached = tmp_path / point
        barrier = f"{point}={reached}"
        process = start(command, empty_database_url, tmp_path, MYAGENT_BARRIER=barrier)
        deadline = time.monotonic() + PATIENCE_S
        while not reached.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
        process.communicate()
    output_of(start(command, empty_database_url, tmp_path))
    assert state_of(empty_database_url) == undisturbed
