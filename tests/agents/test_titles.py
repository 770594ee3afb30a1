"""What a conversation is called by its first message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.titles import FIRST_WORDS, MAX_TITLE, cleaned, title_from


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("Is it raining?", "Is it raining?"),
        ("  two\n\n lines\t", "two lines"),
        ("word " * 20, f"{' '.join(['word'] * 12)}…"),
        ("字" * 100, f"{'字' * FIRST_WORDS}…"),
        ("a\u202eb\x1b[31mc", "ab[31mc"),
        ("\u200b", ""),
    ],
)
def test_it_is_its_first_words_on_one_line(message: str, title: str) -> None:
    assert title_from(message) == title


@given(st.text(max_size=3 * MAX_TITLE))
def test_it_always_fits_and_has_nothing_that_is_not_seen(message: str) -> None:
    title = title_from(message)
    assert len(title) <= FIRST_WORDS + 1
    assert cleaned(title) == title
    assert len(cleaned(message)) <= MAX_TITLE
