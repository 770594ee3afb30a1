"""Which traces a viewer of all traces is told of."""

from __future__ import annotations

import pytest

from agents.principals import Principal
from traces.live.selection import MOST_NAMED, Selection, Unusable
from traces.models import Trace

ADA = Principal("user:1", "ada")
ROOT = Principal("user:2", "root", sees_everything=True)


def trace(**fields: str) -> Trace:
    usual = {"id": "t", "service": "weather", "status": "running", "rerun_of": "o"}
    return Trace(**(usual | fields))


@pytest.mark.parametrize(
    ("query", "service", "is_taken"),
    [
        ({}, None, True),
        ({}, "weather", True),
        ({}, "news", False),
        ({"status": ["running", "failed"]}, None, True),
        ({"status": ["failed"]}, None, False),
        ({"trace_id": ["t", "u"]}, None, True),
        ({"trace_id": ["u"]}, None, False),
        ({"trace_id": ["t"], "status": ["failed"]}, None, False),
        ({"rerun_of": ["o"]}, None, True),
        ({"rerun_of": ["t"]}, None, False),
        ({"trace_id": ["u"], "rerun_of": ["o"]}, None, True),
        ({"trace_id": ["t"], "rerun_of": ["u"]}, None, True),
        ({"rerun_of": [""]}, None, False),
    ],
)
def test_every_filter_must_hold(
    query: dict[str, list[str]], service: str | None, is_taken: bool
) -> None:
    selection = Selection.in_query(query, service)
    assert selection.takes(trace(), None, is_known=False) == is_taken


def test_what_was_told_once_is_told_to_its_end() -> None:
    selection = Selection.in_query({"status": ["running"]}, None)
    assert selection.takes(trace(status="answered"), None, is_known=True)
    assert not selection.takes(trace(status="answered", principal="user:3"), ADA, is_known=True)


@pytest.mark.parametrize(
    ("principal", "is_taken"),
    [
        (None, True),
        (ADA, False),
        (ROOT, True),
        (Principal("user:3", "bob"), True),
        (Principal("user:3", "bob", services=frozenset({"news"})), False),
    ],
)
def test_one_sees_ones_own_or_what_one_may(principal: Principal | None, is_taken: bool) -> None:
    found = Selection().takes(trace(principal="user:3"), principal, is_known=False)
    assert found == is_taken


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"since": [""]}, "since"),
        ({"since": ["x"]}, "since"),
        ({"since": ["-1"]}, "since"),
        ({"since": ["١٢"]}, "since"),
        ({"since": [str(2**63)]}, "since"),
        ({"since": ["1" * 100_000]}, "since"),
        ({"status": ["running", "odd"]}, "status"),
        ({"trace_id": [str(number) for number in range(MOST_NAMED + 1)]}, "trace_id"),
        ({"rerun_of": [str(number) for number in range(MOST_NAMED + 1)]}, "rerun_of"),
    ],
)
def test_what_has_no_meaning_is_named(query: dict[str, list[str]], name: str) -> None:
    with pytest.raises(Unusable, match=f"^{name}$"):
        Selection.in_query(query, None)


def test_a_cursor_is_a_number() -> None:
    assert Selection.in_query({"since": ["0042"]}, None).since == 42
    assert Selection.in_query({}, None).since is None
