"""Links are redialled for as long as they are wanted, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from agents.runs import link_keeper
from agents.runs.link import Link
from agents.runs.link_keeper import LinkKeeper
from agents.runs.worker_process import Paths
from tests.inline_worker import InlineWorker, inline_worker

ID = "one"
PATIENCE_S = 20.0


async def nobody() -> Any:
    raise AssertionError("nobody asks the agent")


@pytest.fixture
def worker() -> Iterator[InlineWorker]:
    with inline_worker(nobody, instance_id=ID) as worker:
        place = Paths.of(ID).socket
        place.symlink_to(worker.path)
        yield worker
        place.unlink()


@pytest.fixture
async def keeper(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LinkKeeper]:
    for name in ("AGAIN_S", "ANEW_S"):
        monkeypatch.setattr(link_keeper, name, 0.01)
    keeper = LinkKeeper("server")
    yield keeper
    await keeper.end()


class Attendant:
    """What happens to each link: the first one fails, the others are kept."""

    def __init__(self) -> None:
        self.links: asyncio.Queue[Link] = asyncio.Queue()
        self.is_wanted = True
        self._has_failed = False

    async def __call__(self, link: Link) -> None:
        self.links.put_nowait(link)
        if not self._has_failed:
            self._has_failed = True
            raise RuntimeError("nobody expected this")
        await link.until_closed()

    async def next(self) -> Link:
        async with asyncio.timeout(PATIENCE_S):
            return await self.links.get()


async def test_a_link_that_ends_or_is_failed_at_is_dialled_again_while_it_is_wanted(
    keeper: LinkKeeper, worker: InlineWorker
) -> None:
    attendant = Attendant()
    keeper.keep(ID, attendant, is_wanted=lambda: attendant.is_wanted)
    failed_at = await attendant.next()
    held = await attendant.next()
    assert failed_at.is_closed
    held.close()
    again = await attendant.next()
    attendant.is_wanted = False
    again.close()
    async with asyncio.timeout(PATIENCE_S):
        while keeper.kept:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert attendant.links.empty()


async def test_who_is_let_go_is_dialled_no_more_and_may_be_kept_again(
    keeper: LinkKeeper, worker: InlineWorker
) -> None:
    links: asyncio.Queue[Link] = asyncio.Queue()

    async def hold(link: Link) -> None:
        links.put_nowait(link)
        await link.until_closed()

    keeper.keep(ID, hold)
    keeper.keep(ID, hold)
    first = await links.get()
    keeper.let_go(ID)
    assert not keeper.kept
    keeper.keep(ID, hold)
    second = await links.get()
    await first.until_closed()
    assert not second.is_closed and links.empty()
