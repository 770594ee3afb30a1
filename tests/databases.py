"""New, empty databases for real processes, of the kind under test."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from tests import second_database
from tests.servers import execute_sql


@contextlib.contextmanager
def fresh_database(folder: Path) -> Iterator[str]:
    """DATABASE_URL of a database that nobody used before; SQLite's file goes into the folder."""
    url = os.environ.get(second_database.DATABASE_URL)
    if url is None:
        yield f"sqlite:///{folder / f'site-{uuid4().hex}.db'}"
        return
    port = urlsplit(url).port
    assert port is not None
    name = f"site_{uuid4().hex}"
    execute_sql(port, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    yield f"mysql://root@127.0.0.1:{port}/{name}"
    execute_sql(port, f"DROP DATABASE {name}")
