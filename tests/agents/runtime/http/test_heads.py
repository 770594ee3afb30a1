"""The size of a request's head is counted correctly, whatever pieces it arrives in."""

from __future__ import annotations

import pytest

from agents.runtime.http.heads import MOST_HEAD, MOST_HEADERS, MOST_LINE, Head, TooLarge


def test_an_address_in_pieces_counts_as_a_whole() -> None:
    head = Head()
    for _ in range(MOST_LINE):
        head.add_address(1)
    with pytest.raises(TooLarge):
        head.add_address(1)
    assert head.refusal == 414


@pytest.mark.parametrize(
    ("taken", "size", "one_more"),
    [
        pytest.param(0, 0, MOST_LINE + 1, id="a long one"),
        pytest.param(MOST_HEADERS, 1, 1, id="many"),
        pytest.param(MOST_HEAD // MOST_LINE, MOST_LINE, 1, id="too much together"),
    ],
)
def test_headers_are_counted_and_measured(taken: int, size: int, one_more: int) -> None:
    head = Head()
    for _ in range(taken):
        head.add_header(size)
    with pytest.raises(TooLarge):
        head.add_header(one_more)
    assert head.refusal == 431


def test_what_is_fed_without_a_result_is_one_line() -> None:
    head = Head()
    for _ in range(4):
        head.feed(MOST_LINE)
        head.progress()
        head.check()
    head.feed(MOST_LINE)
    head.check()
    head.feed(1)
    with pytest.raises(TooLarge):
        head.check()
    assert head.refusal == 431
