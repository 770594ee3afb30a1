"""Without orjson the same bytes are written, the same texts read, and the same refused."""

from __future__ import annotations

import enum
import json
import subprocess
import sys
import uuid
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent import fast_json, plain_json

any_text = st.text(st.characters(blacklist_categories=()), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | any_text,
    lambda inner: st.lists(inner) | st.dictionaries(any_text, inner),
    max_leaves=20,
)


class Colour(enum.Enum):
    RED = "red"


class Name(str):
    pass


@dataclass
class Note:
    text: str
    _hidden: int = 1


Pair = namedtuple("Pair", "a b")


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


OBJECTS = [
    *(Colour.RED, Name("x"), Note("x"), [Note("é")], Pair(1, 2), (1, 2), {"a": (1,)}, Note),
    *(datetime(2020, 1, 2, 3, 4, 5, 6, UTC), datetime(2020, 1, 2), date(2020, 1, 2), time(1, 2)),
    *(uuid.UUID(int=7), b"x", {1, 2}, 1j, 2**64, 2**64 - 1, -(2**63), -(2**63) - 1),
    *({1: 2}, {None: 1}, {1.5: 2}, {True: 1}, {(1,): 2}, {Colour.RED: 1}, {Name("a"): 1}),
    *(nested(200), nested(300)),
]

READ = [
    *("", "NaN", "Infinity", "1e999", "-1e999", r'"\ud800"', r'"\ud83d\ude00"', r'{"\ud800":1}'),
    *(
        "[1,]",
        "01",
        '"\t"',
        " 1 ",
        "\ufeff1",
        '{"a":1,"a":2}',
        "-0",
        "1E5",
        r'"\u0000"',
        '"\ud800"',
    ),
    *(b"\xff", b'"\xed\xa0\x80"', b"\xef\xbb\xbf1", b"[" * 100_000),
]


def outcome(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What it gives, or what it raises."""
    try:
        return repr(function(*args, **options))
    except TypeError:
        return TypeError
    except json.JSONDecodeError:
        return json.JSONDecodeError


@given(json_values)
def test_json_values_become_the_same_bytes(value: Any) -> None:
    assert outcome(plain_json.dumps, value) == outcome(orjson.dumps, value)


@given(st.floats())
def test_floats_become_the_same_number(value: float) -> None:
    written = json.loads(plain_json.dumps(value)), json.loads(orjson.dumps(value))
    assert repr(written[0]) == repr(written[1])


@pytest.mark.parametrize("options", [{}, {"default": str}, {"default": str, "option": 4}])
@pytest.mark.parametrize("value", OBJECTS, ids=lambda value: repr(value)[:30])
def test_objects_become_the_same_bytes_or_are_refused(value: Any, options: dict[str, Any]) -> None:
    assert outcome(plain_json.dumps, value, **options) == outcome(orjson.dumps, value, **options)


@given(st.recursive(any_text | st.integers(-(2**63), 2**63), st.lists, max_leaves=10))
def test_what_was_written_is_read(value: Any) -> None:
    text = json.dumps(value)
    assert outcome(plain_json.loads, text) == outcome(orjson.loads, text)


@pytest.mark.parametrize("text", READ, ids=lambda text: repr(text)[:30])
def test_odd_texts_are_read_the_same_or_refused(text: str | bytes) -> None:
    assert outcome(plain_json.loads, text) == outcome(orjson.loads, text)


def test_with_orjson_its_own_functions_are_used() -> None:
    assert fast_json.dumps is orjson.dumps
    assert fast_json.loads is orjson.loads
    assert fast_json.NON_STR_KEYS == plain_json.NON_STR_KEYS


def test_without_orjson_the_standard_library_is_used() -> None:
    program = (
        "import sys; sys.modules['orjson'] = None\n"
        "from myagent import fast_json; print(fast_json.dumps.__module__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "myagent.plain_json"
