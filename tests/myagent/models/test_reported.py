from __future__ import annotations

import pytest

from myagent.models.reported import MAX_WORDS, error_in, reported


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("exploded", "exploded"),
        ({"message": "bad"}, "bad"),
        ({"message": "bad", "type": "invalid", "code": "x", "param": "p"}, "bad (x, invalid, p)"),
        ({"error": {"message": "bad", "code": 400}}, "bad (400)"),
        ([{"error": {"message": "bad", "code": 400, "status": "INVALID"}}], "bad (400)"),
        ({"detail": [{"msg": "no"}]}, '[{"msg":"no"}]'),
        ({"error": "model 'x' not found"}, "model 'x' not found"),
        ({"errors": 3}, '{"errors":3}'),
        ({"title": "Bad Gateway", "status": 502}, "Bad Gateway (502)"),
        ({"faultstring": "bad", "detail": {"errorcode": "x"}}, "bad"),
        ("two\n lines\t", "two lines"),
    ],
)
def test_an_error_is_told_in_the_providers_words(given: object, words: str) -> None:
    assert reported(given).words == words


def test_words_have_a_bounded_length() -> None:
    assert len(reported({"message": "x" * 100_000, "type": "y" * 5000}).words) == MAX_WORDS


@pytest.mark.parametrize(
    ("code", "is_final"),
    [(400, True), ("401", True), (429, False), (408, False), (500, False), ("overloaded", False)],
)
def test_only_what_fails_again_is_final(code: object, is_final: bool) -> None:
    error = error_in({"error": {"message": "bad", "code": code}})
    assert error is not None
    assert error.is_final is is_final


def test_an_error_that_is_only_a_flag_is_told_by_what_stands_beside_it() -> None:
    error = error_in({"error": True, "message": "bad"})
    assert error is not None
    assert error.words == "bad"
