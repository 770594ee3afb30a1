"""`static/js/chat/arguments.js`: a tool's arguments as fields, and back."""

from __future__ import annotations

from playwright.async_api import Page

SCHEMA = {
    "$defs": {
        "Colour": {"enum": ["red", "green"], "type": "string", "description": "Of the lamp"},
        "Endless": {"anyOf": [{"$ref": "#/$defs/Endless"}, {"type": "null"}]},
    },
    "properties": {
        "name": {"type": "string", "description": "Who it is for"},
        "count": {"type": "integer", "default": 1},
        "price": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
        "gift": {"type": "boolean", "default": False},
        "colour": {"$ref": "#/$defs/Colour"},
        "parts": {"type": "array", "items": {"type": "string"}},
        "endless": {"$ref": "#/$defs/Endless"},
    },
    "required": ["name", "colour"],
}

FIELDS = """async ([args, schema]) => {
    const { fieldsOf } = await import("/static/js/chat/arguments.js");
    return fieldsOf(args, schema);
}"""

WRITE = """async ([schema, cases]) => {
    const { argumentsOf, fieldsOf } = await import("/static/js/chat/arguments.js");
    const { parseExactly } = await import("/static/js/myagent.js");
    return cases.map(([args, name, text]) => {
        const fields = fieldsOf(parseExactly(args), schema);
        const texts = new Map(fields.map((field) => [field.name, field.text]));
        if (name) texts.set(name, text);
        try {
            return JSON.stringify(argumentsOf(fields, texts));
        } catch (error) {
            return `${error.field.name}: ${error.reason}`;
        }
    });
}"""


async def test_fields_are_of_the_kind_that_the_schema_says(page: Page) -> None:
    fields = await page.evaluate(FIELDS, [{"name": "Ada", "colour": "green", "extra": 2.5}, SCHEMA])
    assert [(each["name"], each["kind"], each["text"]) for each in fields] == [
        ("name", "text", "Ada"),
        ("count", "whole", ""),
        ("price", "number", ""),
        ("gift", "flag", ""),
        ("colour", "choice", "1"),
        ("parts", "json", ""),
        ("endless", "json", ""),
        ("extra", "number", "2.5"),
    ]
    assert [each["name"] for each in fields if each["isRequired"]] == ["name", "colour"]
    assert [each["about"] for each in fields if each["about"]] == ["Who it is for", "Of the lamp"]
    assert {each["preset"] for each in fields} == {"", "1", "false"}


async def test_what_is_no_schema_leaves_fields_by_the_values(page: Page) -> None:
    args = {"a": {"b": 1}, "n": 1, "t": "x", "f": True, "nothing": None}
    for schema in (None, [], "x", {"properties": 3}, {"properties": {"a": 1}}):
        fields = await page.evaluate(FIELDS, [args, schema])
        kinds = [each["kind"] for each in fields]
        assert kinds == ["json", "whole", "text", "flag", "json"]


async def test_a_value_that_its_schema_does_not_fit_is_edited_as_json(page: Page) -> None:
    args = {"name": 3, "count": "many", "colour": "blue", "gift": None}
    fields = await page.evaluate(FIELDS, [args, SCHEMA])
    assert {each["kind"] for each in fields if each["isGiven"]} == {"json"}


WRITTEN = [
    ('{"name":"a","colour":"red"}', "", "", '{"name":"a","colour":"red"}'),
    ('{"name":"a"}', "count", "+007", '{"name":"a","count":7}'),
    ('{"count":9007199254740993}', "", "", '{"count":9007199254740993}'),
    ("{}", "count", "9007199254740995", '{"count":9007199254740995}'),
    ("{}", "price", ".50", '{"price":0.5}'),
    ("{}", "price", "-0", '{"price":0}'),
    ('{"price":3}', "price", "", '{"price":null}'),
    ('{"count":3}', "count", " ", "{}"),
    ('{"name":"a"}', "name", "", '{"name":""}'),
    ('{"colour":"red"}', "colour", "1", '{"colour":"green"}'),
    ('{"gift":true}', "gift", "false", '{"gift":false}'),
    ("{}", "gift", "true", '{"gift":true}'),
    ("{}", "parts", '["a"]', '{"parts":["a"]}'),
    ('{"__proto__":1}', "", "", '{"__proto__":1}'),
    ("{}", "count", "1e3", "count: not_whole"),
    ("{}", "price", "0x10", "price: not_a_number"),
    ("{}", "parts", "[a", "parts: not_json"),
]


async def test_what_is_written_becomes_arguments(page: Page) -> None:
    cases = [each[:3] for each in WRITTEN]
    assert await page.evaluate(WRITE, [SCHEMA, cases]) == [each[3] for each in WRITTEN]
