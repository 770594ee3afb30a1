"""Rows are sent together, in order, and what is wrong with one of them is told as always."""

from __future__ import annotations

import pytest
from django.contrib.sessions.models import Session as Kept
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from agents.log import bulk
from agents.log.bulk import packets, write_rows

TABLE = Kept._meta.db_table
INSERT = f"INSERT INTO {TABLE} (session_key,session_data,expire_date) VALUES (%s,%s,%s)"
UPDATE = f"UPDATE {TABLE} SET session_data=%s WHERE session_key=%s"
DAY = "2026-01-01 00:00:00"

database = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def write(*work: tuple[str, list[tuple[str | None, ...]]]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        write_rows(cursor, work)


def kept() -> dict[str, str]:
    return dict(Kept.objects.values_list("session_key", "session_data"))


@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 50), min_size=1)), max_size=5))
def test_every_row_is_sent_once_and_in_order(sizes: list[tuple[bool, list[int]]]) -> None:
    work = [
        (
            INSERT if is_insert else UPDATE,
            [("x" * each,) * (3 if is_insert else 2) for each in rows],
        )
        for is_insert, rows in sizes
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "PACKET", 100)
        found = list(packets(work))
    sent = [value for _, values in found for value in values]
    assert sent == [value for _, rows in work for values in rows for value in values]
    for text, values in found:
        assert text.count("%s") == len(values)
        is_one_row = text.count("(%s") + text.count("=%s WHERE") == 1
        assert sum(map(len, values)) <= 100 or is_one_row


@pytest.mark.parametrize("packet", [1, 10, 10_000])
class TestDatabases:
    pytestmark = database

    @pytest.fixture(autouse=True)
    def packets_of_that_size(self, monkeypatch: pytest.MonkeyPatch, packet: int) -> None:
        monkeypatch.setattr(bulk, "PACKET", packet)

    def test_rows_are_inserted_and_changed(self) -> None:
        told = "a%s; '中'"
        write(
            (INSERT, [("one", "1", DAY), ("two", told, DAY), ("three", "3", DAY)]),
            (UPDATE, [("first", "one"), ("never", "none"), ("third", "three")]),
        )
        assert kept() == {"one": "first", "two": told, "three": "third"}

    @pytest.mark.parametrize(
        "bad",
        [(INSERT, [("new", "", DAY), ("one", "", DAY)]), (UPDATE, [("", "one"), (None, "one")])],
    )
    def test_a_row_that_is_refused_is_an_integrity_error_wherever_it_stands(
        self, bad: tuple[str, list[tuple[str | None, ...]]]
    ) -> None:
        write((INSERT, [("one", "1", DAY)]))
        with pytest.raises(IntegrityError):
            write((INSERT, [("two", "2", DAY)]), bad, (INSERT, [("three", "3", DAY)]))
        assert kept() == {"one": "1"}
        write((INSERT, [("two", "2", DAY)]))
        assert set(kept()) == {"one", "two"}

    def test_the_transaction_goes_on_after_a_refusal(self) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            write_rows(cursor, [(INSERT, [("one", "1", DAY)])])
            with pytest.raises(IntegrityError):
                write_rows(cursor, [(UPDATE, [("2", "one")]), (UPDATE, [(None, "one")])])
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
