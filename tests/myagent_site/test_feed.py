"""One reader for all who watch the console."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from myagent_site import feed as feed_module
from myagent_site.feed import BEAT, PROBLEM, Feed
from services import doorbell
from services.tokens.judging import Proof
from tests.services.measured import add_service, change

pytestmark = pytest.mark.django_db(transaction=True)


class Source:
    """What is read, and how often."""

    def __init__(self) -> None:
        self.value: Any = 0
        self.reads = 0

    def read(self) -> dict[str, Any]:
        self.reads += 1
        if isinstance(self.value, Exception):
            raise self.value
        return {"value": self.value}


def snapshot(value: int) -> bytes:
    return b'event: snapshot\ndata: {"value":%d}\n\n' % value


async def begin(feed: Feed) -> tuple[AsyncIterator[bytes], bytes]:
    """A viewer, and its first event that is more than a beat."""
    viewer = feed.follow()
    assert viewer is not None
    assert (await anext(viewer)).startswith(b"retry:")
    while (event := await anext(viewer)) == BEAT:
        pass
    return viewer, event


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(feed_module, "REFRESH_S", 0.05)
    monkeypatch.setattr(feed_module, "BEAT_S", 0.05)
    monkeypatch.setattr(doorbell, "LOOK_S", 0.01)
    yield


async def test_fifty_who_watch_read_as_often_as_one(source: Source) -> None:
    feed = Feed(source.read)
    viewers = [await begin(feed) for _ in range(feed_module.MAX_VIEWERS)]
    assert {event for _, event in viewers} == {snapshot(0)}
    assert source.reads == 1
    assert feed.is_full
    assert feed.follow() is None
    for viewer, _ in viewers:
        await viewer.aclose()
    assert not feed.is_full


async def test_of_those_who_come_together_no_more_than_fifty_are_let_in(source: Source) -> None:
    feed = Feed(source.read)
    places = [feed.follow() for _ in range(feed_module.MAX_VIEWERS + 1)]
    assert [place is None for place in places] == [False] * feed_module.MAX_VIEWERS + [True]


async def test_a_place_whose_viewer_never_reads_is_free_again(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "CLAIM_S", 0.0)
    feed = Feed(source.read)
    unread = [feed.follow() for _ in range(feed_module.MAX_VIEWERS)]
    assert feed.is_full and all(unread)
    async with asyncio.timeout(10):
        while feed.is_full:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)


async def test_a_change_of_a_service_is_told_at_once(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "REFRESH_S", 3600.0)
    service = await asyncio.to_thread(add_service, "weather")
    feed = Feed(source.read)
    viewer, _ = await begin(feed)
    source.value = 1
    await asyncio.to_thread(change, service, status="running")
    assert await anext(viewer) == snapshot(1)
    await viewer.aclose()


async def test_a_change_that_rang_nowhere_is_told_soon(source: Source, quick: None) -> None:
    feed = Feed(source.read)
    viewer, _ = await begin(feed)
    source.value = 1
    assert snapshot(1) in [await anext(viewer) for _ in range(20)]
    await viewer.aclose()


async def test_while_nothing_changes_there_is_only_a_beat(source: Source, quick: None) -> None:
    feed = Feed(source.read)
    viewer, _ = await begin(feed)
    assert [await anext(viewer) for _ in range(3)] == [BEAT] * 3
    await viewer.aclose()


async def test_who_reads_slowly_gets_the_latest_only(source: Source, quick: None) -> None:
    feed = Feed(source.read)
    slow, _ = await begin(feed)
    quick_one, _ = await begin(feed)
    for value in range(1, 6):
        source.value = value
        while await anext(quick_one) != snapshot(value):
            pass
    assert await anext(slow) == snapshot(5)
    for viewer in (slow, quick_one):
        await viewer.aclose()


async def test_a_reading_that_fails_is_said_and_tried_again(source: Source, quick: None) -> None:
    feed = Feed(source.read)
    viewer, _ = await begin(feed)
    source.value = ValueError("out of order")
    assert PROBLEM in [await anext(viewer) for _ in range(20)]
    source.value = 2
    assert snapshot(2) in [await anext(viewer) for _ in range(20)]
    await viewer.aclose()


async def test_a_stream_ends_so_that_leave_is_asked_for_anew(
    source: Source, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "STREAM_S", 1.5)
    feed = Feed(source.read)
    viewer = feed.follow()
    assert viewer is not None
    assert snapshot(0) in [event async for event in viewer]
    assert feed._viewers == 0


async def test_only_those_who_may_not_look_any_more_are_left_out(
    source: Source, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "LOOK_S", 0.01)
    staying, leaving = Proof("a", is_token=False), Proof("b", is_token=False)
    permitted = {staying, leaving}
    feed = Feed(source.read, permitted=permitted.intersection)
    ours, theirs, local = (feed.follow(each) for each in (staying, leaving, None))
    assert ours is not None and theirs is not None and local is not None
    for viewer in (ours, theirs, local):
        await anext(viewer)
    permitted.remove(leaving)
    assert [event async for event in theirs] != []
    source.value = 1
    for viewer in (ours, local):
        while await anext(viewer) != snapshot(1):
            pass
        await viewer.aclose()


async def test_whoever_is_given_the_permission_back_may_look_again(
    source: Source, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "LOOK_S", 0.01)
    proof = Proof("a", is_token=False)
    permitted: set[Proof] = set()
    feed = Feed(source.read, permitted=permitted.intersection)
    viewer = feed.follow(proof)
    assert viewer is not None
    assert [event async for event in viewer] != []
    permitted.add(proof)
    again = feed.follow(proof)
    assert again is not None
    await anext(again)
    while await anext(again) != snapshot(0):
        pass
    await again.aclose()


async def test_with_the_server_every_stream_ends(source: Source) -> None:
    feed = Feed(source.read)
    viewers = [(await begin(feed))[0] for _ in range(3)]
    waiting = [asyncio.ensure_future(anext(viewer)) for viewer in viewers]
    await asyncio.sleep(0)
    feed.end()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [StopAsyncIteration] * 3
    assert feed.is_full
    assert feed._reader is None


async def test_when_the_last_one_leaves_nothing_is_read_any_more(source: Source) -> None:
    feed = Feed(source.read)
    viewer, _ = await begin(feed)
    # As the server does it when the browser is gone: in the middle of waiting.
    waiting = asyncio.ensure_future(anext(viewer))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await viewer.aclose()
    assert feed._reader is None
    again, event = await begin(feed)
    assert event == snapshot(0)
    assert source.reads == 2
    await again.aclose()
