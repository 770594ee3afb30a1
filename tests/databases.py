"""New databases for real processes, of the kind under test.

Migrations take seconds of each process that finds an empty database. Hence they are carried out
once for all the tests of a run, and what they made is copied.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from filelock import FileLock

from tests.runners import ROOT
from tests.servers import copy_tables, execute_sql
from tests.side_streams import DATABASE_URL

FOLDER = "MYAGENT_TEST_MIGRATED"
"""Environment variable: what has been migrated, for the run's other processes as well."""

MIGRATED = "migrated"


@contextlib.contextmanager
def fresh_database(folder: Path) -> Iterator[str]:
    """DATABASE_URL of a migrated database without rows; SQLite's file goes into the folder."""
    with empty_database(folder) as url:
        if _server() is None:
            copy_migrated(Path(url.removeprefix("sqlite:///")))
        else:
            port = _port_of(url)
            with _once(f"server-{port}") as is_first:
                if is_first:
                    execute_sql(port, f"CREATE DATABASE {MIGRATED} CHARACTER SET utf8mb4")
                    migrate(f"mysql://root@127.0.0.1:{port}/{MIGRATED}")
            copy_tables(port, MIGRATED, url.rpartition("/")[2])
        yield url


@contextlib.contextmanager
def empty_database(folder: Path) -> Iterator[str]:
    """DATABASE_URL of a database that nobody used before: migrations come first."""
    if (url := _server()) is None:
        yield f"sqlite:///{folder / f'site-{uuid4().hex}.db'}"
        return
    port = _port_of(url)
    name = f"site_{uuid4().hex}"
    execute_sql(port, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    yield f"mysql://root@127.0.0.1:{port}/{name}"
    execute_sql(port, f"DROP DATABASE {name}")


def copy_migrated(file: Path) -> None:
    """Makes the file a migrated SQLite database without rows."""
    with _once("file") as is_first:
        migrated = Path(os.environ[FOLDER]) / f"{MIGRATED}.db"
        if is_first:
            migrate(f"sqlite:///{migrated}")
            assert not migrated.with_name(f"{migrated.name}-wal").exists()
    shutil.copy(migrated, file)


def share_migrated() -> None:
    """To be called once by every process of the tests, before it starts others."""
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="myagent-migrated-")
        atexit.register(shutil.rmtree, os.environ[FOLDER], ignore_errors=True)


def _server() -> str | None:
    return os.environ.get(DATABASE_URL)


def _port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


@contextlib.contextmanager
def _once(what: str) -> Iterator[bool]:
    """Whether nobody has made it yet; others wait until it is made."""
    made = Path(os.environ[FOLDER]) / f"{what}.made"
    with FileLock(made.with_suffix(".lock")):
        yield not made.exists()
        made.touch()


def migrate(url: str) -> None:
    """By the product's own command, in another process."""
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0"],
        cwd=ROOT,
        env=os.environ
        | {"DATABASE_URL": url, "MYAGENT_VAR_DIR": os.environ[FOLDER]}
        | {"MYAGENT_ENV_FILE": os.devnull, "SECRET_KEY": "for tests only"},
        stdin=subprocess.DEVNULL,
        check=True,
    )
