"""The MySQL example against a real server: what it shows, what it refuses, and its limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import IO, Any
from urllib.request import urlopen

import pytest

from myagent.messages import ChatMessage
from myagent.steps import ToolFinished
from tests.examples.test_mysql_statements import REFUSED
from tests.managed_site import managed_site
from tests.ports import free_port
from tests.recording import Recorder, assert_gapless
from tests.runners import FAST, ROOT, START_S, STOP_S, Runner
from tests.servers import PrivateServer

CHINESE = "显示用户表的10条用户数据"
ENGLISH = "show 10 rows of the users table"
NAMES = ["张伟", "Alice Smith", "刘洋", "David Brown"]
"""Of the first ten users."""

ELEVENTH = "赵敏"
OF_EXAMPLE = ("mysql_agent", "mysql_example")


def forget_example() -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] in OF_EXAMPLE:
            del sys.modules[name]


@pytest.fixture
def example(mysql_files: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The example's module, with the demo's settings beside it."""
    monkeypatch.syspath_prepend(str(mysql_files))
    forget_example()
    import mysql_agent  # type: ignore[import-not-found]

    yield mysql_agent
    forget_example()


def as_root(server: PrivateServer, *statements: str) -> list[Any]:
    import MySQLdb

    with closing(MySQLdb.connect(host="127.0.0.1", port=server.port, user="root")) as connection:
        cursor = connection.cursor()
        found: list[Any] = []
        for statement in statements:
            cursor.execute(statement)
            found.append(cursor.fetchall())
        return found


def state_of(server: PrivateServer) -> list[Any]:
    """All that a statement could have changed: tables, their contents, users and variables."""
    return as_root(
        server,
        "SHOW TABLES FROM myagent_demo",
        "CHECKSUM TABLE myagent_demo.users, myagent_demo.orders, myagent_demo.products",
        "SHOW GRANTS FOR myagent_reader@127.0.0.1",
        "SELECT @@GLOBAL.max_connections, @@GLOBAL.max_allowed_packet",
    )


def output(result: Any) -> str:
    assert result.error is None, result.error
    return str(result.output)


def rows_in(table: str) -> list[str]:
    return [line for line in table.splitlines() if line.startswith("|")][2:]


def test_tables_and_their_columns_are_told(example: ModuleType) -> None:
    tables = output(example.list_tables())
    assert [name in tables for name in ("users", "用户表", "orders", "products")] == [True] * 4
    columns = output(example.describe_table("orders"))
    assert "user_id" in columns and "下单时间" in columns and "PRI" in columns


@pytest.mark.parametrize("said", ["users", "USERS", "用户表", "用户", "`users`", "the users table"])
def test_a_table_is_found_by_its_name_and_its_comment(example: ModuleType, said: str) -> None:
    shown = rows_in(output(example.show_rows(said, 3)))
    assert len(shown) == 3 and "张伟" in shown[0]


def test_a_table_that_is_not_there_is_told_with_those_that_are(example: ModuleType) -> None:
    assert "users (用户表)" in example.show_rows("customers").error


def test_a_query_is_answered_with_a_table(example: ModuleType) -> None:
    query = "SELECT city, COUNT(*) AS people FROM users WHERE name LIKE '%伟' GROUP BY city"
    assert output(example.run_query(query)).splitlines() == [
        "| city | people |",
        "| --- | --- |",
        "| 北京 | 1 |",
    ]


def test_what_has_no_place_in_a_table_is_put_into_one_line(example: ModuleType) -> None:
    (row,) = rows_in(
        output(example.run_query("SELECT NULL, 'a|b', 'c\nd', X'00ff', 1.50, 'e\\\\f'"))
    )
    assert row == "| NULL | a\\|b | c d | (2 bytes) | 1.50 | e\\\\f |"
    assert output(example.run_query("SELECT * FROM users WHERE id < 0")) == "No rows."


@pytest.mark.parametrize("limit", ["", " LIMIT 120"])
def test_no_more_rows_than_allowed_are_shown_and_it_says_so(
    example: ModuleType, limit: str
) -> None:
    table = output(example.run_query(f"SELECT a.id FROM users a, users b ORDER BY 1{limit}"))
    assert len(rows_in(table)) == example.MAX_ROWS
    assert f"Only the first {example.MAX_ROWS} rows are shown; there are more." in table


def test_a_result_of_just_as_many_rows_is_whole(example: ModuleType) -> None:
    table = output(example.run_query(f"SELECT a.id FROM users a, users b LIMIT {example.MAX_ROWS}"))
    assert len(rows_in(table)) == example.MAX_ROWS
    assert "more" not in table


def test_long_texts_and_long_tables_are_cut_and_it_says_so(example: ModuleType) -> None:
    long = "(SELECT GROUP_CONCAT(email) FROM users)"
    table = output(example.run_query(f"SELECT {long} FROM users"))
    assert "…" in table and "Texts of more than 200 characters are cut" in table
    wide = ", ".join([long] * 10)
    table = output(example.run_query(f"SELECT {wide} FROM users a, users b"))
    assert len(table) < 25_000
    assert f"Only the first {len(rows_in(table))} rows are shown" in table


def test_a_query_that_takes_too_long_is_stopped(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mysql_example.database.MAX_STATEMENT_S", 1)
    many = ", ".join(f"users u{number}" for number in range(12))
    # MySQL multiplies the tables' counts where nothing of a row is asked for.
    refused = example.run_query(f"SELECT SUM(u0.id + u11.id) FROM {many}").error
    assert refused == "The statement took more than 1 s and was stopped: ask for less."


def test_a_statement_that_fails_is_told_in_the_servers_words(example: ModuleType) -> None:
    assert "nowhere" in example.run_query("SELECT nowhere FROM users").error
    assert "doesn't exist" in example.run_query("SELECT * FROM nothing").error


@pytest.mark.parametrize("as_whom", ["the reader", "root"])
def test_a_refused_statement_changes_nothing(
    example: ModuleType, demo: PrivateServer, tmp_path: Path, as_whom: str
) -> None:
    if as_whom == "root":
        become_root(example, demo)
    before = state_of(demo)
    file = tmp_path / "written"
    for statement in REFUSED:
        refused = example.run_query(statement.replace("{file}", str(file)))
        assert refused.error and refused.output is None, statement
    assert state_of(demo) == before
    assert not file.exists()


WRITES = [
    "INSERT INTO products VALUES (9, 'x', 1, 1)",
    "UPDATE users SET name = 'x'",
    "DELETE FROM orders",
    "TRUNCATE orders",
    "DROP TABLE orders",
    "CREATE TABLE copies (id INT)",
    "ALTER TABLE users ADD COLUMN x INT",
    "RENAME TABLE users TO people",
    "CREATE USER somebody@localhost",
    "SELECT 1; DELETE FROM orders",
]


@pytest.mark.parametrize("as_whom", ["the reader", "root"])
@pytest.mark.parametrize("statement", WRITES)
def test_the_database_refuses_what_a_parser_would_let_through(
    example: ModuleType, demo: PrivateServer, statement: str, as_whom: str
) -> None:
    if as_whom == "root":
        become_root(example, demo)
    before = state_of(demo)
    with pytest.raises(example.Refused):
        example.database.read(statement)
    assert state_of(demo) == before


def test_the_demos_user_can_neither_write_files_nor_see_other_data(
    example: ModuleType, tmp_path: Path
) -> None:
    file = tmp_path / "written"
    for statement in (
        f"SELECT 1 INTO OUTFILE '{file}'",
        "SELECT * FROM mysql.global_priv",
    ):
        with pytest.raises(example.Refused, match="does not allow myagent_reader"):
            example.database.read(statement)
    assert not file.exists()


def test_waiting_is_stopped_by_the_server_as_well(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mysql_example.database.MAX_STATEMENT_S", 1)
    try:
        # MySQL ends a SLEEP alone without an error: with 1 for its value.
        assert list(example.database.read("SELECT SLEEP(100)").rows) == [(1,)]
    except example.Refused as refused:
        assert "took more than 1 s" in str(refused)


def test_a_driver_that_lacks_what_a_password_needs_says_which_package(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(**_: Any) -> None:
        raise RuntimeError("'cryptography' package is required for caching_sha2_password")

    monkeypatch.setattr("pymysql.connect", connect)
    refused = example.run_query("SELECT 1").error
    assert "can't log in" in refused and "'cryptography' package" in refused


def become_root(example: ModuleType, server: PrivateServer) -> None:
    """The example as somebody who may do anything: then only its own guards hold."""
    lines = ("USER=root", f"PORT={server.port}", "PASSWORD=", "DATABASE=myagent_demo")
    text = "".join(f"MYSQL_{line}\n" for line in lines)
    example.database.file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "copy .env.mysql.example to .env.mysql"),
        ("MYSQL_DATABASE=x\n", "MYSQL_USER and MYSQL_DATABASE must be set in .env.mysql"),
        ("MYSQL_USER=x\nMYSQL_DATABASE=x\nMYSQL_PORT=many\n", "from 1 to 65535"),
        ("MYSQL_USER=nobody\nMYSQL_PASSWORD=${HOME}\nMYSQL_DATABASE=x\n", "nobody"),
        ("MYSQL_USER=x\nMYSQL_DATABASE=x\nMYSQL_PORT=UNUSED\n", "can't be reached"),
    ],
)
def test_settings_that_do_not_work_are_told_in_a_sentence(
    example: ModuleType, demo: PrivateServer, text: str | None, told: str
) -> None:
    file = example.database.file
    if text is None:
        file.unlink()
    else:
        port = "" if "PORT" in text else f"MYSQL_PORT={demo.port}\n"
        file.write_text(text.replace("UNUSED", str(free_port())) + port, encoding="utf-8")
    sentence = example.list_tables().error
    assert told in sentence and sentence.endswith(".")
    assert os.environ["HOME"] not in sentence


@pytest.mark.parametrize("package", ["pymysql", "sqlglot"])
def test_without_its_packages_it_says_what_to_install(
    mysql_files: Path, tmp_path: Path, package: str
) -> None:
    (mysql_files / f"{package}.py").write_text(
        f"raise ModuleNotFoundError('no', name='{package}')", encoding="utf-8"
    )
    command = [sys.executable, "manage.py", "runagent", str(mysql_files / "mysql_agent.py")]
    environment = os.environ | own(f"sqlite:///{tmp_path / 'db'}", tmp_path)
    done = subprocess.run(
        [*command, "--port", "0"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert f"{package} is not installed; `.venv/bin/pip install PyMySQL sqlglot`" in done.stderr
    assert done.returncode == 78 and "Traceback" not in done.stderr


async def ask(url: str, question: str) -> tuple[list[str], str]:
    """The tools that were used, and the answer."""
    async with await Recorder.open(url) as client:
        session = await client.create_session()
        end = await client.ask(session, question)
        assert end["event"] == "agent.final_answer", end
        assert_gapless(client.frames)
        results = [frame for frame in client.frames if frame["event"] == "agent.tool_result"]
        assert {frame["metadata"]["status"] for frame in results} == {"success"}
        return [frame["metadata"]["tool"] for frame in results], end["content"]


async def assert_answers(url: str) -> None:
    for question in (CHINESE, ENGLISH):
        tools, answer = await ask(url, question)
        assert tools == ["show_rows"]
        assert len(rows_in(answer)) == 10
        assert all(name in answer for name in NAMES) and ELEVENTH not in answer


@pytest.mark.processes
async def test_it_answers_both_questions_under_runagent(
    mysql_files: Path, fresh_database_url: str, tmp_path: Path
) -> None:
    file = mysql_files / "mysql_agent.py"
    # What the site reads its own database from does not reach the agent.
    others = {"MYSQL_HOST": "192.0.2.1", "MYSQL_DATABASE": "other"}
    with Runner(file, fresh_database_url, tmp_path / "var", env=others) as runner:
        await assert_answers(runner.url)
        tools, answer = await ask(runner.url, "Run this query: SELECT COUNT(*) AS n FROM users")
        assert tools == ["run_query"] and rows_in(answer) == ["| 12 |"]


@pytest.mark.processes
async def test_it_answers_both_questions_as_a_service_of_a_site(
    mysql_files: Path, fresh_database_url: str, tmp_path: Path
) -> None:
    with managed_site(fresh_database_url, tmp_path) as site:
        serving = site.serve()
        site.register("mysql", mysql_files / "mysql_agent.py", "--auto-start")
        site.until_runs("mysql")
        await assert_answers(site.url(serving, "mysql"))


async def test_each_question_that_it_offers_leads_to_an_answer_with_tools(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    for question in example.agent.examples:
        run = example.agent.run([ChatMessage("user", question)], confirm=None)
        steps = [step async for step in run]
        results = [step.status for step in steps if isinstance(step, ToolFinished)]
        assert results == ["success"], steps[-1]


@pytest.mark.processes
def test_the_name_that_people_type_serves_it_with_its_pages(
    tmp_path: Path, fresh_database_url: str
) -> None:
    port = free_port()
    environment = os.environ | FAST | own(fresh_database_url, tmp_path)
    # As it is typed: from another folder, and with another Python than the site's.
    command = ["python3", "-I", str(ROOT / "examples" / "websocket_trace_server.py")]
    with subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = list(until_ready(process.stdout))
            assert "Tools: list_tables, describe_table, show_rows, run_query" in said[1]
            assert f"(chat page: http://localhost:{port}/)" in said[2]
            with urlopen(f"http://127.0.0.1:{port}/", timeout=START_S) as page:
                assert page.status == 200
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=STOP_S)


def until_ready(stream: IO[str]) -> Iterator[str]:
    """The lines up to the one with the addresses; fails if they end before it."""
    for line in stream:
        yield line
        if "is ready at" in line:
            return
    raise AssertionError("it ended before it was ready")


def own(database_url: str, folder: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "MYAGENT_VAR_DIR": str(folder / "var"),
        "MYAGENT_ENV_FILE": os.devnull,
        "PYTHONUNBUFFERED": "1",
    }
