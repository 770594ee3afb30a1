"""Conditions: every field, every operator, and what no client or pattern can do to them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.routing.conditions import (
    MOST_COMPARED,
    NEGATED,
    InvalidPattern,
    holds,
    pattern,
    values_of,
)
from services.routing.rules import Condition, Facts, Operator
from services.routing.wording import parsed, written

FACTS = Facts(
    client_ip="192.0.2.7",
    user_agent="Reader/2 VIP",
    path="/ws/",
    user="ada",
    headers={"accept-language": "zh-CN,zh;q=0.9"},
    query={"plan": ["gold", "trial"]},
    metadata={"tags": ["fast", "eu"], "client": {"app": {"version": 3}}, "a.b": True},
)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("client_ip", ["192.0.2.7"]),
        ("user_agent", ["Reader/2 VIP"]),
        ("path", ["/ws/"]),
        ("user", ["ada"]),
        ("header.Accept-Language", ["zh-CN,zh;q=0.9"]),
        ("query.plan", ["gold", "trial"]),
        ("metadata.tags", ["fast", "eu"]),
        ("metadata.client.app.version", ["3"]),
        ("metadata.a.b", ["true"]),
        ("metadata.client", []),
        ("metadata.tags.0", []),
        ("header.x-other", []),
        ("query.other", []),
    ],
)
def test_each_field_has_its_values(field: str, values: list[str]) -> None:
    assert list(values_of(field, FACTS)) == values


def test_what_is_not_known_of_a_client_has_no_value() -> None:
    assert not values_of("user", Facts())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("user equals ada", True),
        ("user equals Ada", False),
        ("user equals/i Ada", True),
        ("user not_equals ada", False),
        ("user not_equals bob", True),
        ("user_agent contains VIP", True),
        ("user_agent contains vip", False),
        ("user_agent contains/i vip", True),
        ("user_agent not_contains VIP", False),
        ("header.accept-language starts_with zh", True),
        ("header.accept-language starts_with en", False),
        ("user_agent ends_with VIP", True),
        ("user_agent regex_match ^Reader/[0-9]+ ", True),
        ("user_agent regex_match ^reader", False),
        ("user_agent regex_match/i ^reader", True),
        ("query.plan in_list silver, trial", True),
        ("query.plan in_list silver", False),
        ("query.plan not_in_list silver, trial", False),
        ("query.plan not_in_list silver", True),
        ("metadata.tags equals eu", True),
        ("metadata.tags not_equals eu", False),
        ("client_ip cidr 10.0.0.0/8, 192.0.2.0/24", True),
        ("client_ip cidr 10.0.0.0/8", False),
        ("user cidr 10.0.0.0/8", False),
        ("header.x-none equals x", False),
        ("header.x-none not_equals x", True),
        ("header.x-none not_in_list x", True),
        ("header.x-none regex_match .*", False),
    ],
)
def test_each_operator_compares_as_its_name_says(line: str, expected: bool) -> None:
    assert holds(condition(line), FACTS) is expected


def condition(line: str) -> Condition:
    found: dict[str, Any] = dict(parsed(line))
    value = found["value"]
    found["value"] = tuple(value) if isinstance(value, list) else value
    return Condition(**found | {"operator": Operator(found["operator"])})


@pytest.mark.parametrize("is_there", [True, False])
def test_exists_asks_whether_the_client_sent_it(is_there: bool) -> None:
    assert holds(Condition("user", Operator.EXISTS, is_there), FACTS) is is_there
    assert holds(Condition("header.x-none", Operator.EXISTS, is_there), FACTS) is not is_there


@given(
    text=st.lists(st.text(max_size=8), max_size=3),
    value=st.text(max_size=8),
    operator=st.sampled_from(sorted(NEGATED)),
    case_sensitive=st.booleans(),
)
def test_an_operator_with_not_holds_exactly_where_the_other_does_not(
    text: list[str], value: str, operator: Operator, case_sensitive: bool
) -> None:
    facts = Facts(query={"q": text})
    one, other = (
        Condition("query.q", each, value, case_sensitive) for each in (operator, NEGATED[operator])
    )
    assert holds(one, facts) is not holds(other, facts)


def test_an_address_of_both_versions_is_the_older_one() -> None:
    facts = Facts(client_ip="::ffff:192.0.2.7")
    assert holds(condition("client_ip cidr 192.0.2.0/24"), facts)


def test_a_pattern_that_hangs_other_engines_is_searched_in_linear_time() -> None:
    # With a backtracking engine this would take longer than the universe exists.
    evil = condition("user regex_match ^(([a-z])+.)+[A-Z]([a-z])+$")
    assert not holds(evil, Facts(user="a" * MOST_COMPARED))


def test_only_the_beginning_of_a_long_value_is_compared() -> None:
    facts = Facts(metadata={"x": "a" * MOST_COMPARED + "b"})
    assert not holds(condition("metadata.x contains b"), facts)


def test_many_values_are_compared_no_further_than_one() -> None:
    facts = Facts(metadata={"x": ["a" * (MOST_COMPARED - 1), "bc"]})
    assert holds(condition("metadata.x contains b"), facts)
    assert not holds(condition("metadata.x contains c"), facts)


def test_a_value_that_is_no_text_of_any_encoding_is_searched_as_well() -> None:
    assert holds(condition("metadata.x regex_match a.b"), Facts(metadata={"x": "a\ud800b"}))


@pytest.mark.parametrize("text", ["(a", r"(a)\1", "a{2000}", "((a{100}){100}){100}"])
def test_a_pattern_that_can_not_be_searched_in_linear_time_and_little_memory_is_refused(
    text: str,
) -> None:
    with pytest.raises(InvalidPattern):
        pattern(text, case_sensitive=True)


@pytest.mark.parametrize(
    "line",
    [
        "user_agent contains/i VIP one",
        "client_ip cidr 10.0.0.0/8, 192.0.2.0/24",
        "query.plan in_list a, b",
    ],
)
def test_a_condition_is_written_as_it_is_read(line: str) -> None:
    assert written(condition(line)) == line
