"""The page of settings says what the table says."""

from __future__ import annotations

from tests import settings_page


def test_the_page_of_settings_is_the_table_of_options() -> None:
    page = settings_page.PAGE.read_text(encoding="utf-8")
    assert page == settings_page.render(), "run: python -m tests.settings_page"
