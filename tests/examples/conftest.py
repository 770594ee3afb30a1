"""The MySQL example's data on the private MariaDB, and the example beside settings for it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runners import ROOT
from tests.servers import PrivateServer, execute_sql

EXAMPLES = ROOT / "examples"
OF_MYSQL = ("mysql_agent.py", "websocket_trace_server.py", ".env.mysql.example")


@pytest.fixture(scope="session")
def demo(mariadb: PrivateServer) -> Iterator[PrivateServer]:
    """The server, with the demo's database and its user."""
    _load_demo(mariadb.port)
    yield mariadb
    execute_sql(mariadb.port, "DROP DATABASE myagent_demo")
    execute_sql(mariadb.port, "DROP USER myagent_reader@localhost, myagent_reader@127.0.0.1")


def _load_demo(port: int) -> None:
    command = ["mariadb", "--no-defaults", "--host=127.0.0.1", f"--port={port}", "--user=root"]
    with (EXAMPLES / "mysql_demo.sql").open("rb") as script:
        subprocess.run(command, stdin=script, check=True, timeout=60)


@pytest.fixture
def mysql_files(demo: PrivateServer, tmp_path: Path) -> Path:
    """A folder with the example's files, whose settings are those of the demo."""
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES / "mysql_example", folder / "mysql_example")
    for name in OF_MYSQL:
        shutil.copy(EXAMPLES / name, folder)
    settings = (folder / ".env.mysql.example").read_text(encoding="utf-8")
    assert "MYSQL_PORT=3306\n" in settings
    (folder / ".env.mysql").write_text(
        settings.replace("MYSQL_PORT=3306", f"MYSQL_PORT={demo.port}"), encoding="utf-8"
    )
    return folder
