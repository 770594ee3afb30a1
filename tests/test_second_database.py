"""Which tests run again on the second database."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from tests.second_database import runs_again


def item_with(*marks: pytest.MarkDecorator) -> pytest.Item:
    found = {each.mark.name: each.mark for each in marks}
    return cast("pytest.Item", SimpleNamespace(get_closest_marker=found.get))


@pytest.mark.parametrize("is_long", [False, True])
def test_what_depends_on_the_database_always_runs_again(is_long: bool) -> None:
    assert runs_again(item_with(pytest.mark.both_databases), is_long=is_long)
    assert not runs_again(item_with(), is_long=is_long)


def test_what_hardly_depends_on_it_runs_again_only_in_a_long_run() -> None:
    item = item_with(pytest.mark.both_databases(when_long=True))
    assert not runs_again(item, is_long=False)
    assert runs_again(item, is_long=True)
