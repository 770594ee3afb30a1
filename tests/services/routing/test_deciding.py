"""Decisions: which service a client gets, how evenly, and why."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.routing.deciding import decide, in_order
from services.routing.explaining import explain
from services.routing.rules import Candidate, Condition, Facts, Operator, Rule, Strategy
from services.routing.strategies import Turns

THREE = [Candidate("a"), Candidate("b"), Candidate("c")]
FIVE = [*THREE, Candidate("d"), Candidate("e")]
VIP = Condition("user_agent", Operator.CONTAINS, "VIP")


def rule(strategy: Strategy = Strategy.ROUND_ROBIN, **fields: object) -> Rule:
    return Rule(**{"rule_id": "1", "name": "it", "strategy": strategy} | fields)  # type: ignore[arg-type]


def chosen(
    rules: list[Rule],
    running: list[Candidate],
    facts: Facts = Facts(),  # noqa: B008
    turns: Turns | None = None,
) -> str | None:
    found = decide(in_order(rules), running, facts, turns or Turns()).chosen
    return found and found.name


def clients(count: int) -> list[Facts]:
    return [Facts(client_ip=f"10.0.{number // 256}.{number % 256}") for number in range(count)]


def test_round_robin_is_exact() -> None:
    turns = Turns()
    got = Counter(chosen([rule()], THREE, turns=turns) for _ in range(99))
    assert got == {"a": 33, "b": 33, "c": 33}


def test_round_robin_goes_on_where_it_was_when_a_service_comes_or_goes() -> None:
    turns = Turns()
    got = [chosen([rule()], running, turns=turns) for running in (THREE, THREE[::2], THREE, FIVE)]
    assert got == ["a", "c", "a", "b"]


def test_each_rule_has_its_own_turns() -> None:
    turns = Turns()
    for rule_id in ("1", "2"):
        assert chosen([rule(rule_id=rule_id)], THREE, turns=turns) == "a"


def test_least_connections_come_out_even() -> None:
    counts = Counter({"a": 40, "b": 3, "c": 0})
    turns = Turns()
    for _ in range(200):
        running = [replace(each, connections=counts[each.name]) for each in THREE]
        name = chosen([rule(Strategy.LEAST_CONNECTIONS)], running, turns=turns)
        assert name is not None
        counts[name] += 1
    assert max(counts.values()) - min(counts.values()) <= 1


def test_weighted_random_keeps_to_the_weights() -> None:
    running = [Candidate("a", weight=1), Candidate("b", weight=3), Candidate("c", weight=0)]
    turns, count = Turns(seed=1), 4000
    got = Counter(
        chosen([rule(Strategy.WEIGHTED_RANDOM)], running, turns=turns) for _ in range(count)
    )
    sigma = math.sqrt(count * 0.25 * 0.75)
    assert abs(got["a"] - count / 4) < 3 * sigma
    assert got["c"] == 0


def test_services_without_any_weight_share_alike() -> None:
    running = [Candidate("a", weight=0), Candidate("b", weight=0)]
    turns = Turns(seed=1)
    got = {chosen([rule(Strategy.WEIGHTED_RANDOM)], running, turns=turns) for _ in range(50)}
    assert got == {"a", "b"}


@given(st.integers(0, 4))
def test_the_hash_moves_only_the_clients_of_the_service_that_left(index: int) -> None:
    by_hash, left = [rule(Strategy.HASH_BASED)], FIVE[index]
    rest = [each for each in FIVE if each != left]
    for facts in clients(100):
        before = chosen(by_hash, FIVE, facts)
        after = chosen(by_hash, rest, facts)
        assert after == before or (before == left.name and after is not None)


def test_the_hash_spreads_clients_and_keeps_each_where_it_is() -> None:
    got = [chosen([rule(Strategy.HASH_BASED)], FIVE, facts) for facts in clients(500)]
    assert got == [chosen([rule(Strategy.HASH_BASED)], FIVE[::-1], each) for each in clients(500)]
    sigma = math.sqrt(500 * 0.2 * 0.8)
    assert all(abs(count - 100) < 4 * sigma for count in Counter(got).values())


def test_tags_choose_the_service_that_shares_most() -> None:
    running = [
        Candidate("a", tags=frozenset({"eu"})),
        Candidate("b", tags=frozenset({"eu", "fast"})),
        Candidate("c"),
    ]
    by_tags = [rule(Strategy.TAG_BASED, fallback_strategy=Strategy.MANUAL, services=("c", "b"))]
    assert chosen(by_tags, running, Facts(metadata={"tags": ["eu", "fast"]})) == "b"
    assert chosen(by_tags, running, Facts(metadata={"tags": ["us"]})) == "c"


def test_manual_keeps_to_the_order_in_which_the_rule_names_them() -> None:
    manual = [rule(Strategy.MANUAL, services=("c", "a"))]
    assert chosen(manual, THREE) == "c"
    assert chosen(manual, THREE[:2]) == "a"


def test_a_rule_chooses_only_services_that_it_names_and_that_have_all_its_tags() -> None:
    running = [
        Candidate("a", tags=frozenset({"x", "y"})),
        Candidate("b", tags=frozenset({"x"})),
        Candidate("c", tags=frozenset({"x", "y"})),
    ]
    turns, named = Turns(), rule(services=("a", "b"), tags=frozenset({"x", "y"}))
    assert {chosen([named], running, turns=turns) for _ in range(4)} == {"a"}


def test_the_lowest_priority_comes_first_then_the_highest_weight() -> None:
    rules = [
        rule(rule_id="1", services=("a",), priority=2),
        rule(rule_id="2", services=("b",), priority=1),
        rule(rule_id="3", services=("c",), priority=1, weight=2),
    ]
    assert chosen(rules, THREE) == "c"
    assert chosen(rules[:2], THREE) == "b"


def test_all_conditions_must_hold() -> None:
    both = rule(services=("a",), conditions=(VIP, Condition("user", Operator.EQUALS, "ada")))
    rest = rule(rule_id="2", services=("b",), priority=200)
    assert chosen([both, rest], THREE, Facts(user_agent="VIP", user="ada")) == "a"
    assert chosen([both, rest], THREE, Facts(user_agent="VIP")) == "b"


def test_a_rule_whose_services_are_away_leaves_the_client_to_the_next_one() -> None:
    rules = [rule(services=("z",)), rule(rule_id="2", services=("b",), priority=200)]
    assert chosen(rules, THREE) == "b"


def test_a_rule_with_a_fallback_keeps_the_client_even_if_its_services_are_away() -> None:
    rules = [
        rule(services=("z",), fallback_strategy=Strategy.LEAST_CONNECTIONS),
        rule(rule_id="2", services=("b",), priority=200),
    ]
    running = [Candidate("b", connections=1), Candidate("c")]
    assert chosen(rules, running) == "c"


def test_an_unhealthy_service_is_chosen_only_if_no_other_can_be() -> None:
    sick, well = Candidate("a", is_healthy=False), Candidate("b")
    turns = Turns()
    assert {chosen([rule()], [sick, well], turns=turns) for _ in range(4)} == {"b"}
    assert chosen([rule()], [sick]) == "a"


def test_without_a_rule_the_only_running_service_is_meant() -> None:
    assert chosen([], THREE[:1]) == "a"
    assert chosen([], THREE) is None
    assert chosen([], []) is None


def test_without_a_rule_the_clients_tags_select() -> None:
    running = [
        Candidate("a", tags=frozenset({"eu", "fast"})),
        Candidate("b", tags=frozenset({"eu"})),
        Candidate("c", tags=frozenset({"eu", "fast"})),
    ]
    facts, turns = Facts(metadata={"tags": ["eu", "fast"]}), Turns()
    assert [chosen([], running, facts, turns) for _ in range(3)] == ["a", "c", "a"]


@given(
    addresses=st.text(max_size=20),
    metadata=st.dictionaries(
        st.text(max_size=5), st.recursive(st.none() | st.text() | st.floats(), st.lists)
    ),
    strategy=st.sampled_from(list(Strategy)),
)
def test_whatever_a_client_sends_gets_a_decision(
    addresses: str, metadata: dict[str, object], strategy: Strategy
) -> None:
    facts = Facts(client_ip=addresses, metadata=metadata)
    backed = rule(strategy, fallback_strategy=Strategy.ROUND_ROBIN)
    assert chosen([backed], THREE, facts) in {"a", "b", "c"}


def test_an_explanation_names_rule_strategy_candidates_and_why_the_others_were_not() -> None:
    rules = [
        rule(name="vip", conditions=(VIP,), services=("a",)),
        rule(rule_id="2", name="gone", services=("z",), priority=200),
        rule(rule_id="3", name="fast", tags=frozenset({"fast"}), priority=300),
    ]
    running = [
        Candidate("a", tags=frozenset({"fast"}), weight=2, connections=4),
        Candidate("b"),
        Candidate("c", tags=frozenset({"fast"}), is_healthy=False),
    ]
    said = explain(in_order(rules), running, {"d": "stopped"}, Facts(user_agent="Reader"), Turns())
    assert said == {
        "rule": "fast",
        "strategy": "round_robin",
        "candidates": [{"service": "a", "weight": 2, "connections": 4, "healthy": True}],
        "rejected": [
            {
                "rule": "vip",
                "why": "'user_agent contains VIP' does not hold: it is 'Reader'.",
            },
            {"rule": "gone", "why": "None of its services is running."},
            {"service": "b", "why": "It lacks tags: fast."},
            {"service": "c", "why": "It is unhealthy, and another one is not."},
            {"service": "d", "why": "It does not run: stopped."},
        ],
        "chosen": "a",
    }


def test_an_explanation_names_disabled_rules_that_would_apply() -> None:
    disabled = [
        rule(rule_id="2", name="earlier", priority=1, services=("a",)),
        rule(rule_id="3", name="other", priority=1, conditions=(VIP,)),
        rule(rule_id="4", name="later", priority=200),
    ]
    rest = rule(name="rest", services=("b",))
    said = explain([rest], THREE[:2], {}, Facts(), Turns(), disabled=in_order(disabled))
    assert (said["rule"], said["chosen"]) == ("rest", "b")
    assert [each for each in said["rejected"] if "rule" in each] == [
        {"rule": "earlier", "why": "It is disabled: if it were enabled, it would decide."},
        {"rule": "later", "why": "It is disabled; all of its conditions hold."},
    ]


@pytest.mark.parametrize("count", [0, 2])
def test_an_explanation_without_a_choice_says_so(count: int) -> None:
    said = explain([], THREE[:count], {}, Facts(), Turns())
    assert (said["rule"], said["strategy"], said["chosen"]) == (None, None, None)
    assert [each["service"] for each in said["candidates"]] == ["a", "b"][:count]


def test_an_explanation_takes_nobodys_turn() -> None:
    turns = Turns()
    for _ in range(3):
        assert explain([rule()], THREE, {}, Facts(), turns)["chosen"] == "a"
