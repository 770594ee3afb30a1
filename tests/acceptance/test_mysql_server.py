"""What MySQL has and MariaDB has not: how it lets its users in. See `tests.mysql_server`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.managed_site import ManagedSite
from tests.mysql_server import MYSQL_ROOT, MySQL
from tests.replicas import statements

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(MYSQL_ROOT not in os.environ, reason="no root of a MySQL server was named"),
]

KEY = "for tests only, and long enough to be one as the check demands it"


@pytest.fixture(scope="module")
def server() -> Iterator[MySQL]:
    assert MySQL.is_installed()
    with MySQL() as running:
        yield running


def make_user(server: MySQL, name: str, *databases: str) -> str:
    """A user of the plugin that is MySQL's default, who never logged in. Returns the URL's head."""
    for database in databases:
        statements(server.port, f"CREATE DATABASE {database} CHARACTER SET utf8mb4")
    statements(
        server.port,
        f"CREATE USER {name}@'127.0.0.1' IDENTIFIED WITH caching_sha2_password BY 'se:cret'",
        *(f"GRANT ALL ON {database}.* TO {name}@'127.0.0.1'" for database in databases),
    )
    return f"mysql://{name}:se%3Acret@127.0.0.1:{server.port}/"


def site_of(url: str, folder: Path, name: str = "one") -> ManagedSite:
    (folder / name).mkdir()
    return ManagedSite(url, folder / name, SECRET_KEY=KEY)


def test_a_first_login_without_tls_is_taken(server: MySQL, tmp_path: Path) -> None:
    url = make_user(server, "plain", "plain_site") + "plain_site"
    site = site_of(url, tmp_path)
    site.manage("migrate", "--verbosity=0")
    assert "Access denied" not in site.manage("doctor", expect=None)


@pytest.mark.parametrize("programs", ["of MariaDB", "of MySQL"])
def test_where_only_tls_is_let_in_the_site_and_its_backups_use_it(
    server: MySQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: str
) -> None:
    name = programs.split()[1].lower()
    head = make_user(server, name, f"{name}_site", f"{name}_copy")
    statements(server.port, f"ALTER USER {name}@'127.0.0.1' REQUIRE SSL")
    if programs == "of MySQL":
        monkeypatch.setenv("PATH", str(own_programs(tmp_path)))
    refused = site_of(f"{head}{name}_site", tmp_path, "refused").manage("migrate", expect=1)
    assert "Access denied" in refused
    authority = server.folder / "data/ca.pem"
    for number, tls in enumerate(("ssl_mode=REQUIRED", f"ssl_ca={authority}")):
        site = site_of(f"{head}{name}_site?{tls}", tmp_path, f"site-{number}")
        site.manage("migrate", "--verbosity=0")
        site.manage("backup", str(tmp_path / f"backup-{number}"))
    copy = site_of(f"{head}{name}_copy?ssl_mode=REQUIRED", tmp_path, "copy")
    copy.manage("restore", str(tmp_path / "backup-0"))


def test_a_certificate_of_somebody_else_is_refused(server: MySQL, tmp_path: Path) -> None:
    url = make_user(server, "careful", "careful_site") + "careful_site?ssl_mode=VERIFY_IDENTITY"
    assert "certificate" in site_of(url, tmp_path).manage("migrate", expect=1)


def own_programs(folder: Path) -> Path:
    """A folder with MySQL's own programs, which run with the libraries of their root."""
    root, made = MySQL.root(), folder / "bin"
    made.mkdir()
    libraries = ":".join(
        str(root / "usr/lib" / place) for place in ("x86_64-linux-gnu", "mysql/private")
    )
    for name in ("mysqldump", "mysql"):
        program = made / name
        loader = f"{root}/lib64/ld-linux-x86-64.so.2 --library-path {libraries}"
        program.write_text(f'#!/bin/sh\nexec {loader} {root}/usr/bin/{name} "$@"\n')
        program.chmod(stat.S_IRWXU)
    return made
