"""Asks a MySQL or MariaDB database in plain language, in English or Chinese, and only reads.

Run it with: scripts/server examples/mysql_agent.py

It needs PyMySQL and sqlglot, and a database: docs/mysql-example.md says how to set up both.
Then ask 'Show 10 rows of the users table' or '显示用户表的10条用户数据'.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from myagent import create_react_agent
from myagent.tool import ToolResult, tool

try:
    from mysql_example.database import MAX_ROWS, Database, Rows
    from mysql_example.statements import Refused, check
    from mysql_example.tables import markdown
except ModuleNotFoundError as error:
    raise ImportError(
        f"{error.name} is not installed; `.venv/bin/pip install PyMySQL sqlglot` installs all that "
        "this example needs"
    ) from error

TABLES = """
SELECT table_name AS name, table_comment AS comment, table_rows AS about_how_many_rows
FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name
"""
COLUMNS = """
SELECT column_name AS name, column_type AS type, column_key AS `key`, is_nullable AS nullable,
    column_comment AS comment
FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position
"""

# Not `.env`: the SDK reads that one, and keeps MYSQL_* from agents, where they are the site's.
database = Database(Path(__file__).with_name(".env.mysql"))

TableName = Annotated[str, Field(description="Name or comment of a table, as listed by the tool")]
Limit = Annotated[int, Field(ge=1, le=MAX_ROWS)]


def told(read: Callable[[], Rows]) -> ToolResult:
    """What was read, as a table; what went wrong, as a sentence that the model can act on."""
    try:
        return ToolResult(output=markdown(read()))
    except Refused as refused:
        return ToolResult(error=str(refused))


def find_table(said: str) -> str:
    """A table's name, for a text that is or contains its name or its comment: 'users', '用户表'."""
    tables = {str(name): str(comment) for name, comment, _ in database.read(TABLES).rows}
    wanted = said.casefold()
    for is_meant in (str.__eq__, str.__contains__):
        for name, comment in tables.items():
            words = (name.casefold(), comment.casefold(), comment.casefold().removesuffix("表"))
            if any(word and is_meant(wanted, word) for word in words):
                return name
    known = ", ".join(
        f"{name} ({comment})" if comment else name for name, comment in tables.items()
    )
    raise Refused(f"There is no table '{said}'. There are: {known or 'none'}.")


@tool(idempotent=True)
def list_tables() -> ToolResult:
    """List which tables there are in the database. 列出所有的表"""
    return told(lambda: database.read(TABLES))


@tool(idempotent=True)
def describe_table(table: TableName) -> ToolResult:
    """Describe the columns of a table: its structure. 描述表的结构、字段、列"""
    return told(lambda: database.read(COLUMNS, [find_table(table)]))


@tool(idempotent=True)
def show_rows(table: TableName, limit: Limit = 10) -> ToolResult:
    """Show rows of a table as they are, its data. 显示、列出、查询表的数据、记录"""

    def read() -> Rows:
        name = find_table(table).replace("`", "``")
        return database.read(f"SELECT * FROM `{name}` LIMIT {limit}")

    return told(read)


@tool(idempotent=True)
def run_query(query: str) -> ToolResult:
    """Run one SQL query, of those that only read. 执行一条只读 SQL"""

    def read() -> Rows:
        check(query)
        return database.read(query)

    return told(read)


agent = create_react_agent(
    name="mysql",
    description="Answers questions about a MySQL database, and only reads it",
    tools=[list_tables, describe_table, show_rows, run_query],
    system_prompt=(
        "You answer questions about a MySQL database by reading it. Look at the tables and their "
        "columns before you write a query, write one statement at a time, and let the database "
        f"count, sum and sort. No more than {MAX_ROWS} rows are shown. When a statement is "
        "refused, correct it or say why. Show rows as a Markdown table. Answer in the language of "
        "the question."
    ),
    max_steps=10,
    examples=[
        "显示用户表的10条用户数据",
        "Show 10 rows of the users table",
        "Which tables are there?",
        "订单表的结构是什么？",
        "Run this query: SELECT city, COUNT(*) AS people FROM users GROUP BY city",
    ],
)
