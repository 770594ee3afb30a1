"""The token of pages opened from a file: it is stable, and printed only where it is of use."""

from __future__ import annotations

from typing import Any

import pytest

from agents.runtime import file_pages


def test_the_token_is_the_installations_own(settings: Any) -> None:
    first = file_pages.token()
    assert len(first) == file_pages.LENGTH and file_pages.token() == first
    assert file_pages.is_token(first)
    settings.SECRET_KEY = "another one"
    assert file_pages.token() != first and not file_pages.is_token(first)


@pytest.mark.parametrize("text", ["", "é", "0" * file_pages.LENGTH])
def test_anything_else_is_none(text: str) -> None:
    assert not file_pages.is_token(text)


@pytest.mark.parametrize(
    ("auth", "host", "is_told"),
    [
        ("open", "127.0.0.1", True),
        ("open", "::1", True),
        ("open", "0.0.0.0", False),
        ("token", "127.0.0.1", False),
    ],
)
def test_it_is_told_where_such_pages_are_let_in(
    settings: Any, auth: str, host: str, is_told: bool
) -> None:
    settings.MYAGENT_AUTH = auth
    line = file_pages.said_at_start(host)
    assert (line is not None and file_pages.token() in line) is is_told
