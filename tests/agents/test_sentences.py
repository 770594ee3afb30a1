"""What workers say is told, and not kept."""

from __future__ import annotations

import tracemalloc

from agents.sentences import say, tell
from myagent.sentence import Said


def test_what_workers_say_is_not_kept_in_memory() -> None:
    def tell_many(word: str) -> None:
        for number in range(500):
            assert tell("zh-hans", Said(f"{number} {word} " + "x" * 10_000))

    say("zh-hans", "thinking")
    tell_many("first")
    tracemalloc.start()
    try:
        tell_many("second")
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
