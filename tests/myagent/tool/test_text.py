from __future__ import annotations

import dataclasses

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.tool.text import TEXT_LIMIT, clean, cut, text_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=20,
)
ANY_TEXT = st.text(st.characters(categories=None))


class Hostile:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error


def test_none_is_no_text() -> None:
    assert text_of(None) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (b"caf\xc3\xa9 \xff", "café �"),
        (3, "3"),
        (True, "True"),
        ({"a": [1, None], 2: "b"}, '{"a":[1,null],"2":"b"}'),
        (("x", 1.5), '["x",1.5]'),
        ({"set": {1}}, '{"set":"{1}"}'),
        ([2**80], "[1208925819614629174706176]"),
    ],
)
def test_values_become_text(value: object, text: str) -> None:
    assert text_of(value) == text


def test_a_dataclass_becomes_json() -> None:
    @dataclasses.dataclass
    class City:
        name: str

    assert text_of(City("北京")) == '{"name":"北京"}'


@given(st.lists(JSON) | st.dictionaries(ANY_TEXT, JSON))
def test_a_container_of_json_survives(value: object) -> None:
    text = text_of(value)
    text.encode()
    try:
        expected = orjson.dumps(value)
    except TypeError:  # a lone surrogate: shown the way Python writes it
        return
    assert orjson.loads(text) == orjson.loads(expected)


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_a_value_that_can_not_be_shown_is_named_by_its_type(error: BaseException) -> None:
    assert text_of(Hostile(error)) == "<Hostile that can't be shown>"
    assert "Hostile" in text_of([Hostile(error)]) or "list" in text_of([Hostile(error)])


def test_a_bottomless_list_has_a_text() -> None:
    bottomless: list[object] = []
    for _ in range(100_000):
        bottomless = [bottomless]
    assert text_of(bottomless)
    while bottomless:  # taken apart by hand: its destructor would recurse
        (bottomless,) = bottomless


@given(ANY_TEXT)
def test_clean_text_is_utf8_and_good_text_stays_the_same(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert cleaned == text


def test_a_lone_surrogate_is_replaced_and_a_pair_is_joined() -> None:
    assert clean("a\ud83db") == "a�b"
    assert clean("\ud83d\ude00") == "😀"


@given(st.text(), st.integers(0, 40))
def test_a_cut_text_is_the_longest_beginning_that_fits(text: str, limit: int) -> None:
    kept, full_length = cut(text, limit)
    assert text.startswith(kept)
    assert len(kept.encode()) <= limit or full_length is None
    if full_length is None:
        assert kept == text
    else:
        assert full_length == len(text)
        assert len(text[: len(kept) + 1].encode()) > limit


def test_the_limit_is_what_the_protocol_says() -> None:
    assert cut("a" * TEXT_LIMIT) == ("a" * TEXT_LIMIT, None)
    assert cut("a" * TEXT_LIMIT + "b") == ("a" * TEXT_LIMIT, TEXT_LIMIT + 1)
    kept, full_length = cut("a" + "界" * 90_000)
    assert (len(kept.encode()), full_length) == (TEXT_LIMIT, 90_001)


@dataclasses.dataclass
class Account:
    number: int


LONG = 2**70


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([LONG], f"[{LONG}]"),
        ({"id": -LONG, "name": "金"}, f'{{"id":{-LONG},"name":"金"}}'),
        ({"in": [{"deep": (LONG, None)}]}, f'{{"in":[{{"deep":[{LONG},null]}}]}}'),
        (Account(LONG), f'{{"number":{LONG}}}'),
        ({LONG: 1}, f'{{"{LONG}":1}}'),
        ({"id": LONG, "when": {1}}, f'{{"id":{LONG},"when":"{{1}}"}}'),
        (LONG, str(LONG)),
    ],
)
def test_whole_numbers_keep_their_digits_and_what_holds_them_is_json(
    value: object, text: str
) -> None:
    assert text_of(value) == text
