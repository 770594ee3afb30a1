"""People see text as it is written, in few frames, and before the events that follow it."""

from __future__ import annotations

import asyncio

import pytest

from agents.runs import preview
from agents.runs.preview import MOST_BEGINNINGS, Preview
from myagent.worker.protocol import LinkError
from myagent.worker.text import MAX_ANSWER_BYTES

PATIENCE_S = 20.0


class Viewers:
    def __init__(self) -> None:
        self.texts: list[tuple[int, int, str]] = []
        self.begun: list[int] = []
        self.has_seen = asyncio.Event()

    def show_thinking(self, step: int) -> None:
        self.begun.append(step)

    def show_text(self, run_id: str, step: int, offset: int, text: str) -> None:
        self.texts.append((step, offset, text))
        self.has_seen.set()


def shown() -> tuple[Viewers, Preview]:
    viewers = Viewers()
    return viewers, Preview(viewers, "run", 0)


async def test_the_first_piece_is_shown_at_once_and_a_flood_behind_it_in_one_frame() -> None:
    viewers, flood = shown()
    flood.add(1, "a")
    assert viewers.texts == [(1, 0, "a")]
    viewers.has_seen.clear()
    for _ in range(1000):
        flood.add(1, "b")
    assert len(viewers.texts) == 1
    async with asyncio.timeout(PATIENCE_S):
        await viewers.has_seen.wait()
    assert viewers.texts[1:] == [(1, 1, "b" * 1000)]


async def test_what_is_held_back_does_not_come_behind_what_follows_it() -> None:
    viewers, text = shown()
    text.add(1, "a")
    text.add(1, "b")
    text.flush()
    text.clear()
    assert viewers.texts == [(1, 0, "a"), (1, 1, "b")]
    text.add(2, "c")
    text.flush()
    assert viewers.texts[2:] == [(2, 0, "c")]


async def test_steps_that_flush_again_and_again_hold_no_later_text_back() -> None:
    viewers, text = shown()
    for step in range(1000):
        text.add(step, "a")
        text.flush()
        text.clear()
    assert text._next_at - asyncio.get_running_loop().time() < 0.1
    assert len(viewers.texts) == 1000


async def test_a_worker_that_keeps_to_the_interval_costs_no_timer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewers, text = shown()
    now = 0.0
    monkeypatch.setattr(text._loop, "time", lambda: now)
    for number in range(100):
        # As early and as late as links deliver it.
        now = 1 + number * preview.TEXT_INTERVAL_S + (0.002 if number % 2 else 0)
        text.add(1, "a")
        assert text._timer is None
    monkeypatch.undo()
    assert len(viewers.texts) == 100


async def test_a_step_that_begins_anew_has_no_text_of_before() -> None:
    viewers, text = shown()
    text.begin(1)
    text.add(1, "a")
    text.add(1, "b")
    text.begin(1)
    text.add(1, "c")
    text.flush()
    assert (text.text, viewers.texts[-1]) == ("c", (1, 0, "c"))


async def test_steps_that_only_begin_are_not_shown_for_ever() -> None:
    viewers, text = shown()
    for step in range(1000):
        text.begin(step)
    assert viewers.begun == list(range(MOST_BEGINNINGS))
    text.note_logged()
    text.begin(1000)
    assert viewers.begun[-1] == 1000


async def test_a_text_without_an_end_is_not_kept() -> None:
    _, text = shown()
    text.add(1, "x" * MAX_ANSWER_BYTES)
    with pytest.raises(LinkError, match="more than"):
        text.add(1, "x")
    text.add(2, "x")
    text.stop()
