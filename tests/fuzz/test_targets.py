"""Readers of others' bytes refuse what they can't read, and fail at nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutating import mutated
from tests.fuzz.targets import SEEDS, TARGETS

ODD = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"9" * 30,
    b"9" * 5000,
    b'"\\ud800"',
    b"\xed\xa0\x80",
    "\u2028\u202e\u0085".encode(),
    b"null",
    b"{}",
    b"[" * 300,
    b'{"a":' * 2000,
    b'"a": 1, "a": 2,',
    b"\r\n\r\n",
    b"%00%ff%2e%2e/",
    b"..\\..//",
    b"\x1b[2J",
]


@st.composite
def spoilt(draw: st.DrawFn, seed: bytes) -> bytes:
    """A seed in which a few parts were left out, repeated, or replaced by something odd."""
    data = seed
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        part = data[start:end]
        kind = draw(st.sampled_from(["leave out", "repeat", "odd", "other", "field"]))
        if kind == "leave out":
            part = b""
        elif kind == "repeat":
            part *= draw(st.integers(2, 50))
        elif kind == "other":
            part = draw(st.binary(max_size=12))
        else:
            part = draw(st.sampled_from(ODD))
        data = data[:start] + part + data[end:]
    return data


def inputs(name: str) -> st.SearchStrategy[bytes]:
    known = [spoilt(seed) for seed in SEEDS[name]]
    known += [st.builds(mutated, st.sampled_from(SEEDS[name]), st.integers(0, 2**32))]
    return st.one_of(st.sampled_from(ODD + SEEDS[name]), st.binary(max_size=200), *known)


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_takes_or_refuses_any_bytes(name: str) -> None:
    @given(inputs(name))
    def try_all(data: bytes) -> None:
        TARGETS[name](data)

    try_all()


@pytest.mark.parametrize("name", TARGETS)
def test_a_seed_is_what_it_says(name: str) -> None:
    assert SEEDS[name]
    for seed in SEEDS[name]:
        TARGETS[name](seed)
