"""A dump that is cut off, or that others wrote, is refused, and none of its lines is a command."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.databases import migrate
from tests.managed_site import ManagedSite
from tests.servers import MariaDB, execute_sql

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def whole(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A backup of a site without services."""
    if not (shutil.which("mariadb-dump") or shutil.which("mysqldump")):
        if os.environ.get("CI"):
            pytest.fail("mariadb-dump must be installed under CI.")
        pytest.skip("mariadb-dump is not installed")
    folder = tmp_path_factory.mktemp("whole")
    execute_sql(mariadb.port, "CREATE DATABASE to_be_dumped CHARACTER SET utf8mb4")
    migrate(mariadb.url("to_be_dumped"))
    ManagedSite(mariadb.url("to_be_dumped"), folder).manage("backup", str(folder / "backup"))
    execute_sql(mariadb.port, "DROP DATABASE to_be_dumped")
    return (folder / "backup").read_bytes()


@pytest.fixture
def backup(whole: bytes, tmp_path: Path) -> Path:
    """The same, to be changed."""
    path = tmp_path / "backup"
    path.write_bytes(whole)
    return path


@contextmanager
def empty_database(mariadb: MariaDB) -> Iterator[str]:
    name = f"site_{uuid4().hex}"
    execute_sql(mariadb.port, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    yield mariadb.url(name)
    execute_sql(mariadb.port, f"DROP DATABASE {name}")


@pytest.fixture
def empty(mariadb: MariaDB, tmp_path: Path) -> Iterator[ManagedSite]:
    folder = tmp_path / "empty"
    folder.mkdir()
    with empty_database(mariadb) as url:
        yield ManagedSite(url, folder)


def tables(site: ManagedSite) -> list[tuple[str, ...]]:
    return site.query("SHOW TABLES")


def write(backup: Path, lines: list[bytes]) -> None:
    backup.write_bytes(b"".join(lines))


def test_what_people_said_is_taken_for_no_line_of_the_dump(
    mariadb: MariaDB, whole: bytes, empty: ManagedSite, tmp_path: Path
) -> None:
    said = "first\nUSE mysql;\r\n\\! ls\n/*!50000 DROP DATABASE a */;\n"
    (tmp_path / "first").write_bytes(whole)
    empty.manage("restore", str(tmp_path / "first"))
    literal = said.encode().hex()
    empty.execute(f"INSERT INTO auth_group (name) VALUES (CONVERT(0x{literal} USING utf8mb4))")
    empty.manage("backup", str(tmp_path / "second"))
    with empty_database(mariadb) as url:
        again = ManagedSite(url, empty.folder)
        again.manage("restore", str(tmp_path / "second"))
        assert again.query("SELECT name FROM auth_group") == [(said,)]


@pytest.mark.parametrize("kept", [pytest.param(0.3, marks=pytest.mark.long), 0.9, 1.0])
def test_a_dump_that_is_cut_off_changes_nothing(
    backup: Path, empty: ManagedSite, kept: float
) -> None:
    whole = backup.read_bytes()
    backup.write_bytes(whole[: int(len(whole) * kept) - 1])
    assert "cut off" in empty.manage("restore", str(backup), expect=1)
    assert tables(empty) == []


def test_a_dump_that_fails_midway_names_the_file_and_what_to_do(
    backup: Path, empty: ManagedSite
) -> None:
    lines = backup.read_bytes().splitlines(keepends=True)
    write(backup, [*lines[: len(lines) // 2], b"\nNONSENSE;\n", *lines[len(lines) // 2 :]])
    said = empty.manage("restore", str(backup), expect=1)
    assert f"{backup} was not restored" in said
    assert "half-filled: drop it" in said


def test_the_error_of_a_statement_with_several_lines_is_told_without_what_is_in_it(
    backup: Path, empty: ManagedSite
) -> None:
    lines = backup.read_bytes().splitlines(keepends=True)
    broken = b"\nINSERT INTO auth_user NONSENSE\nVALUES ('a secret\n of ada's');\n"
    write(backup, [*lines[: len(lines) // 2], broken, *lines[len(lines) // 2 :]])
    said = empty.manage("restore", str(backup), expect=1)
    assert "ERROR 1064 (42000) at line" in said
    assert "You have an error in your SQL syntax" in said
    assert "secret" not in said and "NONSENSE" not in said


def test_a_dump_without_one_of_the_tables_is_told_from_a_whole_one(
    backup: Path, empty: ManagedSite
) -> None:
    lines = backup.read_bytes().splitlines(keepends=True)
    write(backup, [*lines[:-1], b"DROP TABLE agents_event;\n", lines[-1]])
    said = empty.manage("restore", str(backup), expect=1)
    assert "lacks tables of the site: agents_event" in said
    assert "drop it" in said


@pytest.mark.parametrize(
    "line",
    [
        "\\! touch {seen}",
        pytest.param("SELECT 1; \\! touch {seen}\n;", marks=pytest.mark.long),
        "system touch {seen}",
        "SELECT 1 \\g \\! touch {seen}",
        "DELIMITER //\nsystem touch {seen}",
        pytest.param("\\. {script}", marks=pytest.mark.long),
        pytest.param("source {script}", marks=pytest.mark.long),
        "tee {seen}",
        pytest.param("\\T {seen}", marks=pytest.mark.long),
        "pager touch {seen}\nSELECT 1;",
        "LOAD DATA LOCAL INFILE '{script}' INTO TABLE django_content_type;",
    ],
)
def test_no_line_of_a_dump_is_a_command_of_the_client(
    backup: Path, empty: ManagedSite, tmp_path: Path, line: str
) -> None:
    seen, script = tmp_path / "seen", tmp_path / "script"
    script.write_text(f"system touch {seen}\n")
    lines = [
        each
        for each in backup.read_bytes().splitlines(keepends=True)
        if b"enable the sandbox mode" not in each
    ]
    write(backup, [lines[0], line.format(seen=seen, script=script).encode(), b"\n", *lines[1:]])
    empty.manage("restore", str(backup), expect=1)
    assert not seen.exists()


@pytest.mark.parametrize(
    "line",
    [
        "USE {other};",
        pytest.param("use`{other}`;", marks=pytest.mark.long),
        "  /*!50000 USE {other} */;",
        pytest.param("CREATE DATABASE {other}_2;", marks=pytest.mark.long),
        "/*!40000 DROP DATABASE IF EXISTS `{other}`*/;",
        pytest.param("Create\tSchema {other}_2;", marks=pytest.mark.long),
    ],
)
def test_a_dump_that_leads_to_another_database_is_refused_before_its_first_statement(
    backup: Path, empty: ManagedSite, line: str
) -> None:
    lines = backup.read_bytes().splitlines(keepends=True)
    write(backup, [*lines[:-1], line.format(other="mysql").encode() + b"\n", lines[-1]])
    assert "about another database" in empty.manage("restore", str(backup), expect=1)
    assert tables(empty) == []


def test_a_dump_with_a_trigger_is_no_backup_of_a_site(backup: Path, empty: ManagedSite) -> None:
    lines = backup.read_bytes().splitlines(keepends=True)
    trigger = b"CREATE TRIGGER spy AFTER INSERT ON agents_event FOR EACH ROW SET @seen = 1;\n"
    write(backup, [*lines[:-1], trigger, lines[-1]])
    assert "trigger spy" in empty.manage("restore", str(backup), expect=1)
