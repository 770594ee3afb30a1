"""JSON that is kept takes the memory that it needs: histories are made of it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from agents.log.entry import Entry
from myagent import fast_json
from myagent.messages import ChatMessage

MANY = 500
HEAD = 100
"""Bytes of a `bytes` object beside its content, and more."""

TEXTS = ["hi", "a few words " * 100, "多少字 " * 100]


def for_the_worker(text: str) -> bytes:
    return ChatMessage("user", text).json


def for_the_model(text: str) -> bytes:
    return ChatMessage("user", text).wire_json


def for_the_log(text: str) -> bytes:
    return Entry("user.message", text).payload


@pytest.mark.parametrize("made", [for_the_worker, for_the_model, for_the_log])
@pytest.mark.parametrize("text", TEXTS, ids=["short", "long", "chinese"])
def test_what_is_kept_takes_no_more_than_its_length(
    made: Callable[[str], bytes], text: str
) -> None:
    made(text)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [made(text) for _ in range(MANY)]
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken / MANY < len(kept[0]) + HEAD


def test_compact_bytes_are_the_same() -> None:
    data = fast_json.dumps({"text": "é" * 1_000})
    assert fast_json.compact(data) == data
    assert type(fast_json.compact(data)) is bytes
