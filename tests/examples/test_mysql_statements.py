"""Which statements the MySQL example lets a model run; no database is asked."""

from __future__ import annotations

import sys

import pytest

from tests.runners import ROOT

sys.path.insert(0, str(ROOT / "examples"))
try:
    from mysql_example.statements import MAX_CHARACTERS, Refused, check
finally:
    sys.path.remove(str(ROOT / "examples"))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM users LIMIT 10",
        "select id, name from `users` where city = '北京' order by joined_on desc;",
        "SELECT city, COUNT(*) AS n FROM users GROUP BY city HAVING n > 1",
        "SELECT u.name, SUM(o.quantity * p.price) FROM users u JOIN orders o ON o.user_id = u.id "
        "JOIN products p ON p.id = o.product_id GROUP BY u.id",
        "WITH recent AS (SELECT * FROM orders) SELECT COUNT(*) FROM recent",
        "(SELECT id FROM users) UNION ALL (SELECT id FROM orders)",
        "SELECT name, ROW_NUMBER() OVER (ORDER BY id) FROM users",
        "SELECT DATE_FORMAT(joined_on, '%Y-%m'), YEAR(NOW()), STRCMP(name, 'a') FROM users",
        "SELECT 'it''s -- no comment; /* nor this */ # nor this'",
        "SELECT 'a \\' quote'",
        "SELECT 'SLEEP(5) INTO OUTFILE FOR UPDATE'",
        "SHOW TABLES",
        "SHOW CREATE TABLE users",
        "SHOW FULL COLUMNS FROM users",
        "DESCRIBE users",
        "DESC users",
        "EXPLAIN SELECT * FROM users",
        "EXPLAIN FORMAT=JSON SELECT * FROM users",
        "EXPLAIN ANALYZE SELECT * FROM users",
    ],
)
def test_what_reads_is_allowed(statement: str) -> None:
    check(statement)


WRITING = [
    "INSERT INTO users VALUES (99, 'x', 'x', 'x', '2024-01-01')",
    "REPLACE INTO users VALUES (1, 'x', 'x', 'x', '2024-01-01')",
    "UPDATE users SET name = 'x'",
    "DELETE FROM orders",
    "TRUNCATE orders",
    "DROP TABLE orders",
    "ALTER TABLE users ADD COLUMN x INT",
    "CREATE TABLE copies AS SELECT * FROM users",
    "CREATE TEMPORARY TABLE copies AS SELECT * FROM users",
    "RENAME TABLE users TO people",
    "GRANT ALL ON *.* TO myagent_reader@localhost",
    "LOAD DATA INFILE '/etc/passwd' INTO TABLE users",
    "WITH old AS (SELECT id FROM users) DELETE FROM orders WHERE user_id IN (SELECT id FROM old)",
]
BEYOND_READING = [
    "SELECT * FROM users FOR UPDATE",
    "SELECT * FROM users LOCK IN SHARE MODE",
    "SELECT * FROM (SELECT * FROM users FOR UPDATE) t",
    "SELECT 1 INTO @a",
    "SELECT * FROM users INTO OUTFILE '{file}'",
    "SELECT * INTO OUTFILE '{file}' FROM users",
    "SELECT 'x' INTO DUMPFILE '{file}'",
    "SELECT SLEEP(5)",
    "SELECT `SLEEP`(5)",
    "SELECT sleep (5)",
    "SELECT * FROM users WHERE id = 1 OR SLEEP(5)",
    "SHOW TABLES WHERE SLEEP(5)",
    "SELECT BENCHMARK(100000000, MD5('x'))",
    "SELECT GET_LOCK('x', 10)",
    "SELECT RELEASE_ALL_LOCKS()",
    "SELECT LOAD_FILE('/etc/passwd')",
    "SELECT MASTER_POS_WAIT('x', 1)",
    "SELECT NEXTVAL(numbers)",
    "SELECT somebodys_own(1)",
    "SELECT myagent_demo.NOW(1)",
    "SELECT REPEAT('x', 1000000000)",
    "SELECT SPACE(1000000000), LPAD('x', 1000000000, 'y')",
]
SEVERAL_OR_HIDDEN = [
    "SELECT 1; DELETE FROM orders",
    "SELECT 1; SELECT 2",
    "SELECT 1 /*! INTO OUTFILE '{file}' */",
    "SELECT 1 /*!50000 FOR UPDATE */",
    "SELECT 1 /*M! FOR UPDATE */",
    "SELECT 1; /*! DELETE FROM orders */",
    "/*! DELETE FROM orders */",
    "SELECT /*+ SET_VAR(max_execution_time=0) */ 1",
    "SELECT 1 --1 FOR UPDATE",
    "SELECT 1 -- a comment",
    "SELECT 1 # a comment",
    "SELECT 1 \0 FOR UPDATE",
]
OTHERS = [
    "SET STATEMENT max_statement_time = 0 FOR SELECT 1",
    "SET SESSION max_statement_time = 0",
    "SET GLOBAL max_connections = 1",
    "EXPLAIN ANALYZE DELETE FROM orders",
    "EXPLAIN DELETE FROM orders",
    "ANALYZE DELETE FROM orders",
    "ANALYZE FORMAT=JSON UPDATE users SET name = 'x'",
    "EXPLAIN FOR CONNECTION 1",
    "CALL somebodys_own()",
    "DO SLEEP(5)",
    "HANDLER users OPEN",
    "LOCK TABLES users WRITE",
    "PREPARE hidden FROM 'DELETE FROM orders'",
    "EXECUTE IMMEDIATE 'DELETE FROM orders'",
    "KILL 1",
    "BEGIN",
    "COMMIT",
    "START TRANSACTION READ WRITE",
    "USE mysql",
    "FLUSH TABLES",
    "SHUTDOWN",
    "SELECT FROM WHERE",
    "users, please",
    "",
    " ; ",
]
REFUSED = WRITING + BEYOND_READING + SEVERAL_OR_HIDDEN + OTHERS


@pytest.mark.parametrize("statement", REFUSED)
def test_anything_else_is_refused_with_a_sentence(statement: str) -> None:
    with pytest.raises(Refused) as caught:
        check(statement)
    sentence = str(caught.value)
    assert sentence[0].isupper() and sentence.endswith(".") and "Token" not in sentence
    assert "\x1b" not in sentence and len(sentence) < 200


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("SELECT SLEEP(5)", "SLEEP"),
        ("SELECT 1; SELECT 2", "exactly one"),
        ("DELETE FROM orders", "Only SELECT, SHOW, DESCRIBE and EXPLAIN"),
        ("SELECT 1 FOR UPDATE", "lock rows"),
        ("SELECT 1 -- x", "comments"),
        ("SELECT FROM WHERE", "at line 1, column"),
    ],
)
def test_a_refusal_says_what_to_change(statement: str, told: str) -> None:
    with pytest.raises(Refused, match=told):
        check(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT " + "(" * 1000 + "1" + ")" * 1000,
        "SELECT " + "NOT " * 900 + "1",
        "SELECT " + "1 + " * 900 + "1",
        "SELECT * FROM " + "(" * 500 + "SELECT 1" + ")" * 500,
        "SELECT " + "CASE WHEN 1 THEN " * 200 + "1" + " END" * 200,
        "SELECT " + "x" * MAX_CHARACTERS,
    ],
)
def test_a_monstrous_statement_is_judged_all_the_same(statement: str) -> None:
    try:
        check(statement)
    except Refused as refused:
        assert str(refused).endswith(".")
