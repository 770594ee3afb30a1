"""The log's own transaction: all of it or nothing, and no statement that could be spared."""

from __future__ import annotations

import pytest
from django.contrib.sessions.models import Session as Kept
from django.db import Error as DatabaseFailure
from django.db import connection, transaction

from agents.log.transaction import Query, one_transaction

TABLE = Kept._meta.db_table
INSERT = f"INSERT INTO {TABLE} (session_key,session_data,expire_date) VALUES (%s,%s,%s)"
DAY = "2026-01-01 00:00:00"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def having(data: str) -> Query:
    return Query(f"SELECT session_key FROM {TABLE} WHERE session_data=%s ORDER BY 1", [data])


def keep(*keys: str, queries: tuple[Query, ...] = ()) -> list[list[tuple[str, ...]]]:
    with one_transaction(*queries) as (cursor, answers):
        for key in keys:
            cursor.execute(INSERT, (key, "data", DAY))
    return [list(answer) for answer in answers]


def kept() -> set[str]:
    return set(Kept.objects.values_list("session_key", flat=True))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_each_query_has_its_answer(count: int) -> None:
    keep("a", "b")
    queries = [having("data"), having("none"), having("data")][:count]
    assert keep(queries=tuple(queries)) == [[("a",), ("b",)], [], [("a",), ("b",)]][:count]


def test_what_was_written_is_kept() -> None:
    keep("a")
    connection.close()
    assert kept() == {"a"}


@pytest.mark.parametrize("query", [None, Query("SELECT nothing FROM nowhere")])
def test_nothing_is_kept_of_what_failed_and_the_next_one_succeeds(query: Query | None) -> None:
    keep("a")
    with pytest.raises(DatabaseFailure):
        keep("b", "a", queries=(query,) if query else ())
    keep("c")
    assert kept() == {"a", "c"}


def test_a_lost_connection_loses_all_of_it_and_the_next_one_is_made_by_itself() -> None:
    if connection.vendor != "mysql":
        pytest.skip("It has no connection to lose.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT CONNECTION_ID()")
        (number,) = cursor.fetchone()
    with pytest.raises(DatabaseFailure), one_transaction() as (cursor, _):
        cursor.execute(INSERT, ("a", "data", DAY))
        other = connection.copy()
        with other.cursor() as killing:
            killing.execute(f"KILL {number}")
        other.close()
        cursor.execute(INSERT, ("b", "data", DAY))
    keep("c")
    assert kept() == {"c"}


def test_within_another_transaction_it_is_a_part_of_that() -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        keep("a", queries=(having("data"), having("none")))
        raise RuntimeError
    assert kept() == set()


def test_no_statement_only_switches_something_on_or_off() -> None:
    if connection.vendor != "mysql":
        pytest.skip("It does not count them.")

    def settings_made() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SHOW SESSION STATUS LIKE 'Com_set_option'")
            return int(cursor.fetchone()[1])

    before = settings_made()
    keep("a", queries=(having("data"),))
    assert settings_made() == before
