"""Which SQL a model may run: one statement that reads. No I/O.

This is the first of three guards, the one that answers with a sentence. The others hold where a
parser errs: a read-only transaction, and a database user who may do nothing but read.
"""

from __future__ import annotations

import logging

from sqlglot import exp
from sqlglot.dialects.mysql import MySQL
from sqlglot.errors import SqlglotError
from sqlglot.tokens import TokenType

MAX_CHARACTERS = 4000

QUERIES = (exp.Query, exp.Describe, exp.Show)
"""SELECT with its CTEs and unions; DESCRIBE and EXPLAIN; SHOW."""

FORBIDDEN = {
    exp.Into: "INTO, which writes the result somewhere, is not allowed here.",
    exp.Lock: "FOR UPDATE and LOCK IN SHARE MODE are not allowed here: they lock rows.",
    exp.DML: "A statement that writes is not allowed here, whatever it is a part of.",
    exp.Command: "A part of the statement is not known to read only.",
}
"""Parts of a statement, and why they are refused."""

GROWING = (exp.Repeat, exp.Space, exp.Pad)
"""Functions that make a long text of a short one."""

FUNCTIONS = frozenset(
    """
    ADDDATE ADDTIME BIN CONV CRC32 FIELD FIND_IN_SET FROM_DAYS INET_ATON INET_NTOA JSON_ARRAYAGG
    JSON_CONTAINS JSON_LENGTH JSON_SEARCH JSON_UNQUOTE JSON_VALID MAKEDATE MICROSECOND MID NOW ORD
    PERIOD_DIFF SEC_TO_TIME STRCMP SUBDATE SUBTIME SYSDATE TIMEDIFF TIME_FORMAT TIME_TO_SEC
    UNIX_TIMESTAMP USER WEEKDAY YEARWEEK
    """.split()  # noqa: SIM905 - read and edited as text
)
"""Functions that are allowed besides those that every database has.

A list of what is allowed, as others wait (SLEEP), lock (GET_LOCK), read files (LOAD_FILE), or are
somebody's own and may do anything.
"""

# It warns of statements that it knows by their first word only; they are refused.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


class Refused(Exception):
    """Nothing was read; the message is a sentence for the model."""


def check(statement: str) -> None:
    """Raises `Refused` unless the text is one statement that only reads."""
    if len(statement) > MAX_CHARACTERS:
        raise Refused(f"The statement has more than {MAX_CHARACTERS} characters.")
    try:
        _check_text(statement)
        trees = MySQL().parse(statement)
    except SqlglotError as error:
        raise Refused(f"The statement can't be read as SQL: {_reason(error)}") from error
    except RecursionError as error:
        raise Refused("The statement is nested too deeply.") from error
    if len(trees) != 1 or trees[0] is None:
        raise Refused("Give exactly one statement.")
    _check_tree(trees[0])


def _check_text(statement: str) -> None:
    """Refuses what a server may read in another way than the parser does."""
    if "\0" in statement:
        raise Refused("The statement contains a character that no statement needs.")
    for token in MySQL().tokenize(statement):
        # To MySQL /*! … */ is code, /*+ … */ changes its limits, and `--` alone is no comment.
        if token.comments or token.token_type is TokenType.HINT:
            raise Refused("Leave out comments and hints: a server may run what is in them.")


def _check_tree(tree: exp.Expr) -> None:
    if not isinstance(tree, QUERIES):
        raise Refused("Only SELECT, SHOW, DESCRIBE and EXPLAIN are allowed here.")
    if isinstance(tree, exp.Describe) and not isinstance(tree.this, exp.Query | exp.Table):
        raise Refused("DESCRIBE takes a table here, and EXPLAIN a query.")
    for node in tree.walk():
        for kind, why in FORBIDDEN.items():
            if isinstance(node, kind):
                raise Refused(why)
        if isinstance(node, GROWING) or _is_unknown_function(node):
            name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
            raise Refused(f"The function {name.upper()} is not allowed here.")


def _is_unknown_function(node: exp.Expr) -> bool:
    if not isinstance(node, exp.Anonymous):
        return False
    is_of_a_schema = isinstance(node.parent, exp.Dot)
    return is_of_a_schema or node.name.upper() not in FUNCTIONS


def _reason(error: SqlglotError) -> str:
    """The parser's complaint without the marks that it makes for terminals."""
    complaints = getattr(error, "errors", None) or [{}]
    first = complaints[0]
    where = f" at line {first['line']}, column {first['col']}" if first.get("line") else ""
    description = str(first.get("description") or "it breaks off").rstrip(".")
    return f"{description.partition(' but got <Token')[0]}{where}."
