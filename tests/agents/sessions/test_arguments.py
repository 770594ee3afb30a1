"""Arguments written by a person are checked against the tool's schema, in limited time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from agents.sessions import arguments
from agents.sessions.arguments import unfit
from myagent import tool
from myagent.tool.schema import ArgumentsError
from myagent.tool.toolbox import prepared


class Address(BaseModel):
    street: str
    code: Annotated[str, Field(pattern=r"^\d{5}$")] = "00000"


@tool
def order(
    item: Literal["tea", "milk"],
    amount: Annotated[int, Field(ge=1, le=10)] = 1,
    to: Address | None = None,
    notes: list[str] | None = None,
) -> str:
    return ""


ORDER = prepared(order)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"item": "tea"}, ""),
        ({"item": "milk", "amount": 10, "to": {"street": "Main"}, "notes": ["a"]}, ""),
        ({"item": "tea", "to": None}, ""),
        ({}, "'item' is a required property"),
        ({"item": "tea", "amount": "many"}, "at amount: 'many' is not of type 'integer'"),
        ({"item": "tea", "amount": 11}, "at amount: 11 is greater than the maximum of 10"),
        ({"item": "coal"}, "at item: 'coal' is not one of ['tea', 'milk']"),
        ({"item": "tea", "colour": "red"}, "'colour' was unexpected"),
        ({"item": "tea", "notes": [1]}, "at notes: [1] is not valid under any"),
        ({"item": "tea", "to": {"street": "Main", "code": "1234"}}, "at to:"),
        ({"item": 1, "amount": 0}, "at amount: 0 is less than the minimum of 1"),
    ],
)
def test_what_does_not_fit_is_named(args: dict[str, Any], told: str) -> None:
    assert told in unfit(args, ORDER.spec.parameters)
    assert bool(unfit(args, ORDER.spec.parameters)) is _is_refused_by_the_tool(args)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({}, "缺少 'item'"),
        ({"item": "tea", "amount": "many"}, "amount：'many' 的类型不是 'integer'"),
        ({"item": "tea", "amount": 11}, "amount：11 大于最大值 10"),
        ({"item": "coal"}, "item：'coal' 不在允许的取值 ['tea', 'milk'] 之中"),
        ({"item": "tea", "colour": "red"}, "'colour' 不是该工具的参数"),
        ({"item": "tea", "notes": [1]}, "notes：[1] 不属于任何一种允许的形式"),
    ],
)
def test_what_does_not_fit_is_named_in_the_readers_language(
    args: dict[str, Any], told: str
) -> None:
    assert unfit(args, ORDER.spec.parameters, "zh-hans") == told


def test_a_rule_without_a_sentence_of_its_own_is_named() -> None:
    schema = {"properties": {"x": {"multipleOf": 5}}}
    assert unfit({"x": 3}, schema, "zh-hans") == "x：3 不满足 multipleOf：5"


def test_braces_in_a_value_stay_as_they_are() -> None:
    schema = {"properties": {"x": {"type": "integer"}}}
    assert unfit({"x": "{limit}"}, schema, "zh-hans") == "x：'{limit}' 的类型不是 'integer'"


def _is_refused_by_the_tool(args: dict[str, Any]) -> bool:
    try:
        ORDER.arguments.check(args)
    except ArgumentsError:
        return True
    return False


def test_a_pattern_is_looked_for_in_linear_time() -> None:
    slow = {"type": "object", "properties": {"text": {"pattern": "^(a+)+$"}}}
    assert unfit({"text": "a" * 5000}, slow) == ""
    assert "does not match" in unfit({"text": "a" * 5000 + "b"}, slow)


def doubled(depth: int) -> dict[str, Any]:
    """A schema in which each definition refers twice to the next one."""
    names = [f"#/$defs/{number}" for number in range(depth)]
    twice: list[Any] = [{"allOf": [{"$ref": name}, {"$ref": name}]} for name in names[1:]]
    definitions = {str(number): each for number, each in enumerate([*twice, {"type": "object"}])}
    return {"$ref": names[0], "$defs": definitions}


MANY: list[Any] = [*[{"type": "null"}] * 500, {"type": "string"}]


@pytest.mark.parametrize(
    ("schema", "args"),
    [
        (doubled(60), {}),
        ({"properties": {"x": {"uniqueItems": True}}}, {"x": [[n] for n in range(50_000)]}),
        ({"properties": {"x": {"items": {"anyOf": MANY}}}}, {"x": ["y"] * 9999}),
    ],
    ids=["doubling", "comparing", "trying"],
)
def test_a_check_that_would_take_long_is_left_to_the_tool(
    schema: dict[str, Any], args: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arguments, "MOST_CPU_S", 0.02)
    began = time.thread_time()
    assert unfit(args, schema) == ""
    assert time.thread_time() - began < 2


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {"$ref": "#"},
        {"$ref": "https://example.org/schema"},
        {"$ref": "#/$defs/none"},
        {"type": "dance"},
        {"properties": []},
        {"minProperties": "one"},
        {"properties": {"text": {"pattern": "(?=x)"}}},
        {"patternProperties": {"(?=x)": {"type": "null"}}, "additionalProperties": False},
        {"patternProperties": {"^te": {"type": "string"}}, "additionalProperties": False},
        {"patternProperties": []},
        {"properties": {"text": {"format": "of-our-own"}}},
        {"properties": {"text": {"format": 5}}},
        {"$schema": "https://example.org/dialect#", "minProperties": 5},
        {"$schema": ["http://json-schema.org/draft-07/schema#"], "minProperties": 5},
    ],
)
def test_a_schema_that_can_not_be_used_here_refuses_nothing(schema: Any) -> None:
    assert unfit({"text": "aaa"}, schema) == ""


@pytest.mark.parametrize(
    ("schema", "args", "told"),
    [
        ({"patternProperties": {"^n_": {"type": "integer"}}}, {"n_a": "x"}, "at n_a: 'x' is not"),
        (
            {"patternProperties": {"^n_": {}}, "additionalProperties": False},
            {"n_a": 1, "other": 2},
            "'other' was unexpected",
        ),
        (
            {
                "properties": {"a": {}},
                "patternProperties": {"^n_": {}},
                "additionalProperties": {"type": "null"},
            },
            {"a": 1, "n_a": 1, "other": 2},
            "at other: 2 is not",
        ),
        ({"properties": {"day": {"format": "date"}}}, {"day": "soon"}, "'soon' is not a 'date'"),
        ({"properties": {"id": {"format": "uuid"}}}, {"id": "7"}, "'7' is not a 'uuid'"),
    ],
)
def test_names_and_formats_are_checked(
    schema: dict[str, Any], args: dict[str, Any], told: str
) -> None:
    assert told in unfit(args, schema)
    good = {"n_a": 1, "day": "2026-02-28", "id": "123e4567-e89b-12d3-a456-426614174000"}
    assert unfit({name: good.get(name) for name in args if name in good}, schema) == ""


def test_names_are_matched_in_linear_time() -> None:
    slow = {"patternProperties": {"^(a+)+$": {"type": "null"}}, "additionalProperties": False}
    assert "was unexpected" in unfit({"a" * 5000 + "b": 1}, slow)


@pytest.mark.parametrize(
    "dialect",
    [
        *(f"http://json-schema.org/draft-0{number}/schema" for number in (4, 6, 7)),
        *(f"https://json-schema.org/draft/{year}/schema" for year in ("2019-09", "2020-12")),
    ],
)
@pytest.mark.parametrize("end", ["", "#"])
def test_a_schema_may_name_its_draft(dialect: str, end: str) -> None:
    schema = ORDER.spec.parameters | {"$schema": dialect + end}
    assert unfit({"item": "tea"}, schema) == ""
    assert "is not one of" in unfit({"item": "coal"}, schema)
    slow = {"$schema": dialect + end, "properties": {"x": {"pattern": "^(a+)+$"}}}
    assert "does not match" in unfit({"x": "a" * 5000 + "b"}, slow)


def deep(wrap: Callable[[Any], Any], depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    return value


def test_arguments_may_be_nested_deeply() -> None:
    schema = {"$ref": "#/$defs/x", "$defs": {"x": {"properties": {"x": {"$ref": "#/$defs/x"}}}}}
    assert unfit(deep(lambda inner: {"x": inner}, 240), schema) == ""
