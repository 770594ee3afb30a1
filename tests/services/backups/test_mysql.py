"""What is told of a program that failed."""

from __future__ import annotations

import pytest

from services.backups.mysql import MOST_SAID, last_said

SYNTAX = (
    "ERROR 1064 (42000) at line 4: You have an error in your SQL syntax; check the manual for the "
    "right syntax to use near"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        ("ERROR 2002 (HY000): Can't connect", "ERROR 2002 (HY000): Can't connect"),
        (f"{SYNTAX} 'INSERT\nVALUES (1, 'pw')\n`user_a' at line 4\n", f"{SYNTAX} … at line 4"),
        (
            "a warning\nERROR 1062 (23000) at line 9: Duplicate entry 'a key' for key 'PRIMARY'",
            "ERROR 1062 (23000) at line 9: Duplicate entry … for key 'PRIMARY'",
        ),
        ("one\ntwo\n three\nfour\nfive\nsix", "two three four five six"),
        ("mariadb-dump: Got error: 2002", "mariadb-dump: Got error: 2002"),
    ],
)
def test_the_last_error_is_told_whole_without_what_it_quotes(text: str, said: str) -> None:
    assert last_said(text) == said


def test_an_error_without_an_end_is_cut_off() -> None:
    assert len(last_said("ERROR " + "x\n" * 100_000)) <= MOST_SAID + 1
