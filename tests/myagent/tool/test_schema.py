from __future__ import annotations

import datetime
import enum
from typing import Annotated, Any, Literal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, validate_call

from myagent.tool.base_tool import ToolDefinitionError
from myagent.tool.hints import Hints
from myagent.tool.schema import Arguments, ArgumentsError


class Colour(enum.Enum):
    RED = "red"


class Place(BaseModel):
    city: str
    zip: int = 0


async def paint(
    text: str,
    count: Annotated[int, Field(ge=1, description="how often")] = 1,
    colour: Colour = Colour.RED,
    where: Place | None = None,
    day: datetime.date | None = None,
    kind: Literal["a", "b"] = "a",
    schema: list[str] | None = None,
    _json: float = 0.5,
) -> None:
    """Every kind of parameter, also names that a pydantic model could not have."""


def test_a_schema_is_made_from_the_signature() -> None:
    schema = Hints(paint).schema()
    assert schema["type"] == "object"
    assert schema["required"] == ["text"]
    assert list(schema["properties"]) == [
        "text", "count", "colour", "where", "day", "kind", "schema", "_json",
    ]  # fmt: skip
    assert schema["properties"]["count"] == {
        "type": "integer", "minimum": 1, "default": 1, "description": "how often",
    }  # fmt: skip
    assert schema["properties"]["kind"]["enum"] == ["a", "b"]


def test_arguments_are_converted_to_the_hinted_types() -> None:
    values = Arguments(paint, None).check(
        {"text": "x", "count": 2.0, "colour": "red", "where": {"city": "Oslo"}, "day": "2026-01-02"}
    )
    assert values == {
        "text": "x",
        "count": 2,
        "colour": Colour.RED,
        "where": Place(city="Oslo"),
        "day": datetime.date(2026, 1, 2),
        "kind": "a",
        "schema": None,
        "_json": 0.5,
    }
    assert isinstance(values["count"], int)


def test_a_whole_number_keeps_all_its_digits() -> None:
    arguments = Arguments(paint, None)
    args = arguments.parse('{"text": "x", "count": 123456789012345678901234567890}')
    assert arguments.check(args)["count"] == 123456789012345678901234567890


@pytest.mark.parametrize(
    "text", ['{"count": %s}' % ("9" * 5000), "[" * 1000 + "1" * 30 + "]" * 1000]
)
def test_arguments_that_python_can_not_read_are_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ArgumentsError, match=r"Send one JSON object|must be one JSON object"):
        Arguments(paint, None).parse(text)


def test_a_method_has_no_self_argument_and_keywords_mean_anything_goes() -> None:
    class Anything:
        def execute(self, **kwargs: Any) -> None: ...

    arguments = Arguments(Anything().execute, None)
    assert arguments.schema == {"type": "object", "properties": {}}
    assert arguments.check({"a": 1, "b": [2]}) == {"a": 1, "b": [2]}


def test_a_default_that_is_no_json_is_left_out() -> None:
    anything = object()

    def wait(until: datetime.date = datetime.date.max, tags: Any = anything) -> None: ...

    arguments = Arguments(wait, None)
    assert "default" not in arguments.schema["properties"]["tags"]
    assert arguments.check({}) == {"until": datetime.date.max, "tags": anything}


def fresh() -> list[str]:
    return ["new"]


def fields(
    limit: int = Field(default=5, ge=1, description="How many"),
    tags: list[str] = Field(default_factory=fresh),  # noqa: B008
    to: Annotated[str, Field(alias="dest")] = "B",
    of: Annotated[int, Field(default=7)] = 8,
    *,
    must: str = Field(min_length=2),
    source: Annotated[str, Field(alias="from", default="A")],
    **more: int,
) -> dict[str, Any]:
    return {**locals(), **more}


def annotated(limit: Annotated[int, Field(default=5)], q: Annotated[str, "free"] = "x") -> Any:
    return locals()


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (fields, {"must": "ok"}),
        (fields, {"must": "ok", "limit": 3, "tags": [], "dest": "C", "of": 1, "from": "D"}),
        (fields, {"must": "ok", "extra": 2}),
        (annotated, {}),
        (annotated, {"limit": 2, "q": "y"}),
    ],
)
def test_fields_are_what_they_are_to_a_validated_call(function: Any, args: dict[str, Any]) -> None:
    values = Arguments(function, None).check(args)
    assert function(**values) == validate_call(function)(**args)


def test_a_factory_makes_a_value_for_each_call() -> None:
    arguments = Arguments(fields, None)
    first, second = (arguments.check({"must": "ok"})["tags"] for _ in range(2))
    assert first == second and first is not second


def test_fields_are_in_the_schema_under_the_names_that_a_model_is_to_use() -> None:
    schema = Arguments(fields, None).schema
    assert schema["required"] == ["must"]
    assert list(schema["properties"]) == ["limit", "tags", "dest", "of", "must", "from"]
    assert schema["properties"]["limit"] == {
        "type": "integer", "minimum": 1, "default": 5, "description": "How many",
    }  # fmt: skip


@pytest.mark.parametrize("args", [{}, {"must": "x"}, {"must": "ok", "limit": 0}, {"must": 1}])
def test_what_a_field_asks_for_is_checked(args: dict[str, Any]) -> None:
    with pytest.raises(ArgumentsError):
        Arguments(fields, None).check(args)


def test_a_field_is_a_default_beside_a_schema_of_ones_own_too() -> None:
    def search(query: str, limit: int = Field(default=5)) -> None: ...

    properties = {"query": {"type": "string"}, "limit": {"type": "integer"}}
    arguments = Arguments(search, {"type": "object", "properties": properties})
    assert arguments.check({"query": "a"}) == {"query": "a", "limit": 5}
    with pytest.raises(ArgumentsError, match="query"):
        arguments.check({"limit": 1})


def positional(a: int, /) -> None: ...
def starred(*args: int) -> None: ...
def unresolvable(a: Missing) -> None: ...  # type: ignore[name-defined] # noqa: F821
def unknowable(a: ValueError) -> None: ...


@pytest.mark.parametrize("function", [positional, starred, unresolvable, unknowable])
def test_a_signature_that_no_schema_fits_says_what_to_change(function: Any) -> None:
    with pytest.raises(ToolDefinitionError, match="'parameters'"):
        Arguments(function, None)


@pytest.mark.parametrize(
    "parameters",
    [
        "text",
        {"type": "array"},
        {"type": "object", "properties": {"a": {"type": "strnig"}}},
        {"type": "object", "required": "a"},
        {"properties": {"a": {"default": object()}}},
    ],
)
def test_a_bad_schema_is_told_to_the_developer(parameters: Any) -> None:
    with pytest.raises(ToolDefinitionError, match="'parameters'"):
        Arguments(lambda **args: None, parameters)


def test_what_is_missing_in_a_schema_and_can_be_guessed_is_added() -> None:
    given_schema: dict[str, Any] = {}
    assert Arguments(lambda: None, given_schema).schema == {"type": "object", "properties": {}}
    assert given_schema == {}


@pytest.fixture
def arguments() -> Arguments:
    properties = {
        "name": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
    }
    parameters = {"type": "object", "properties": properties, "required": ["name"]}
    return Arguments(lambda name, tags=(): None, parameters)


@pytest.mark.parametrize("text", ["", "  ", "{}", "null"])
def test_no_arguments_can_be_written_in_several_ways(arguments: Arguments, text: str) -> None:
    assert arguments.parse(text) == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"name": ', "not valid JSON"),
        ("[1]", "one JSON object"),
        ('"name"', "one JSON object"),
        ("[" * 5000, "not valid JSON"),
        ('{"name": "\ud800"}', "not valid JSON"),
    ],
)
def test_malformed_arguments_are_told_in_a_sentence(
    arguments: Arguments, text: str, sentence: str
) -> None:
    with pytest.raises(ArgumentsError, match=sentence):
        arguments.parse(text)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({}, "'name' is a required property"),
        ({"name": 3}, "at name: 3 is not of type 'string'"),
        ({"name": "a", "tags": ["b", 4]}, r"at tags\[1\]: 4 is not of type 'string'"),
        ({"name": "a", "size": 1}, "unexpected keyword argument 'size'"),
    ],
)
def test_a_mismatch_says_where_and_what(
    arguments: Arguments, args: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ArgumentsError, match=sentence):
        arguments.check(args)


def test_a_refused_value_is_not_repeated_whole(arguments: Arguments) -> None:
    with pytest.raises(ArgumentsError) as caught:
        arguments.check({"name": ["x" * 100_000], "tags": "y" * 100_000})
    assert len(str(caught.value)) < 2000


def test_what_only_the_hinted_type_refuses_is_a_mismatch_too() -> None:
    def at(day: datetime.date) -> None: ...

    with pytest.raises(ArgumentsError, match=r"at day: .*date"):
        Arguments(at, None).check({"day": "soon"})


def test_a_reference_to_an_address_never_reaches_out() -> None:
    properties = {"a": {"$ref": "http://127.0.0.1:1/schema.json"}}
    arguments = Arguments(lambda a: None, {"type": "object", "properties": properties})
    with pytest.raises(ArgumentsError, match="not there"):
        arguments.check({"a": 1})


def test_arguments_without_a_bottom_are_refused() -> None:
    tree = {"type": "object", "properties": {"t": {"$ref": "#/$defs/t"}}}
    arguments = Arguments(lambda t: None, {**tree, "$defs": {"t": tree}})
    deep: dict[str, Any] = {}
    for _ in range(1000):
        deep = {"t": deep}
    with pytest.raises(ArgumentsError, match="nested too deeply"):
        arguments.check(deep)


HINTS = {
    str: st.text(),
    int: st.integers(-(2**53), 2**53),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    list[int]: st.lists(st.integers(-(2**53), 2**53)),
    dict[str, str]: st.dictionaries(st.text(), st.text()),
    str | None: st.none() | st.text(),
}


@given(st.data())
def test_arguments_of_the_hinted_types_come_through_unchanged(data: st.DataObject) -> None:
    hints = data.draw(
        st.dictionaries(
            st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True), st.sampled_from([*HINTS])
        )
    )
    hints = {f"{name}_": hint for name, hint in hints.items()}
    args = {name: data.draw(HINTS[hint]) for name, hint in hints.items()}
    scope: dict[str, Any] = {}
    exec(f"def function({', '.join(hints)}): ...", scope)
    scope["function"].__annotations__ = hints
    arguments = Arguments(scope["function"], None)
    assert arguments.check(arguments.parse(orjson.dumps(args).decode())) == args


def test_a_schema_keeps_long_numbers() -> None:
    def pay(amount: Annotated[int, Field(le=2**70)] = 2**65) -> None: ...

    arguments = Arguments(pay, None)
    assert arguments.schema["properties"]["amount"]["maximum"] == 2**70
    assert arguments.check({"amount": 2**70}) == {"amount": 2**70}
    with pytest.raises(ArgumentsError, match="maximum"):
        arguments.check({"amount": 2**70 + 1})
