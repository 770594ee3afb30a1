from __future__ import annotations

import pytest

from myagent.models.base import ModelError
from myagent.models.masking import MIN_KEY, address_secrets, key_secrets, masked, secrets_of


def failed(*secrets: str) -> ModelError:
    error = ModelError("No.", is_retryable=False)
    error.secrets = frozenset(secrets)
    return error


def test_secrets_are_found_in_every_error_of_a_chain() -> None:
    error, context = RuntimeError(), RuntimeError()
    error.__cause__ = ExceptionGroup("x", [failed("one"), context])
    context.__context__ = failed("two")
    context.__cause__ = error
    assert secrets_of(error) == {"one", "two"}


@pytest.mark.parametrize("secrets", ["text", None, frozenset({"", 5})])
def test_an_attribute_of_somebody_elses_is_no_secret(secrets: object) -> None:
    error = RuntimeError()
    error.secrets = secrets  # type: ignore[attr-defined]
    assert secrets_of(error) == frozenset()


def test_a_secret_that_contains_another_is_removed_whole() -> None:
    assert masked("a secret-key, a secret", {"secret", "secret-key"}) == "a …, a …"


def test_a_placeholder_is_no_key() -> None:
    assert key_secrets("x" * (MIN_KEY - 1)) == frozenset()
    assert masked(r"b'Bearer secret\nkey'", key_secrets("secret\nkey")) == "b'Bearer …'"


@pytest.mark.parametrize(
    ("userinfo", "query", "text"),
    [
        ("me:p4ssword", "", "http://me:p4ssword@a.test: p4ssword"),
        ("me:pass%2Fword", "", "pass/word pass%2Fword"),
        ("me:pass/word", "", "Invalid port: 'pass' /word pass%2Fword"),
        ("t0ken", "", "t0ken"),
        ("a:b", "", "a:b@a.test"),
        ("", "key=p4ssword&p4ssword", "p4ssword"),
    ],
)
def test_an_address_is_masked_however_it_is_quoted(userinfo: str, query: str, text: str) -> None:
    told = masked(text, address_secrets(userinfo, query))
    assert not any(each in told for each in ("pass", "word", "t0ken", "a:b"))
