"""Which tests run again on the second database, and what their process reports."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import cast

import pytest

from tests.lanes import Waiting
from tests.second_database import SecondRun, runs_again
from tests.side_streams import Part


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


def test_why_a_test_was_skipped_there_is_reported_here(pytestconfig: pytest.Config) -> None:
    place, reason = ("test_it.py", 3, "test_it"), ("test_it.py", 3, "Skipped: why")
    report = pytest.TestReport("test_it.py::test_it", place, {}, "skipped", reason, "setup")
    sent = json.dumps(
        pytestconfig.hook.pytest_report_to_serializable(config=pytestconfig, report=report)
    )
    part = Part(Waiting([]), label=" [mariadb]", reports=[json.loads(sent)])
    [read] = SecondRun(pytestconfig)._reports(part)
    assert (read.nodeid, read.longrepr) == ("test_it.py::test_it [mariadb]", reason)
