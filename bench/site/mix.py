"""The mixed load: who comes to the site, in which shares, and how they leave."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.site.parts import WholeSite
from bench.site.record import Diary, ended_runs
from bench.site.seats import Address, read_on
from bench.site.talkers import SecondScreen, Talker, Way
from bench.site.viewers import Reader, TraceViewer

SHORT_ANSWER = "[[chunks=8 delay_ms=20]]"
LONG_ANSWER = "tells a long story " * 60 + "[[chunks=100 delay_ms=50]]"
WAYS = {
    Way("echo", "echo"): 40,
    Way("model", "model", SHORT_ANSWER, drops=0.05): 30,
    Way("long stream", "model", LONG_ANSWER, think_s=3.0, drops=0.05): 15,
    Way("tool", "tools", f"[[tool look CALL]]{SHORT_ANSWER}", drops=0.05): 10,
    Way("tool, once", "tools", f"[[tool charge CALL]]{SHORT_ANSWER}", drops=0.05): 5,
}
"""Of a hundred clients."""

SECOND_SCREENS = 5
"""One client in so many has a second socket in its conversation."""

VIEWERS = 2
READERS = 2
READ_PAUSE_S = 1.0
ARRIVAL_S = 0.02
PATIENCE_S = 90.0


class Mix:
    """Everybody who is there. A broken promise ends it with the error that says which."""

    def __init__(self, site: WholeSite, tasks: asyncio.TaskGroup, seed: int = 1) -> None:
        self.diary = Diary()
        self.talkers: list[Talker] = []
        self._site = site
        self._tasks = tasks
        self._dice = random.Random(seed)
        self._ways = [way for way, share in WAYS.items() for _ in range(share)]
        self._dice.shuffle(self._ways)
        self._is_over = asyncio.Event()
        self._talks: list[asyncio.Task[None]] = []
        self._screens: list[tuple[SecondScreen, Talker, asyncio.Task[None]]] = []
        self._viewers: list[tuple[TraceViewer, asyncio.Task[None]]] = []

    async def look(self) -> None:
        """Those who do not talk begin to look."""
        credentials = self._site.operators_credentials
        traces = Address(f"{self._site.nginx.socket_url}ws/traces/", credentials)
        for _ in range(VIEWERS):
            viewer = TraceViewer(traces, self.diary)
            self._viewers.append((viewer, self._tasks.create_task(viewer.live())))
        for _ in range(READERS):
            dice = random.Random(self._dice.random())
            rest = Address(self._site.url, credentials)
            reader = Reader(rest, self.diary, dice, READ_PAUSE_S)
            self._talks.append(self._tasks.create_task(reader.live(self._is_over)))

    async def grow_to(self, clients: int) -> None:
        """So many talk, one coming in after the other."""
        for number in range(len(self.talkers), clients):
            way = self._ways[number % len(self._ways)]
            url, credentials = self._site.socket_url(way.service), self._site.credentials(number)
            address, dice = Address(url, credentials), random.Random(self._dice.random())
            talker = Talker(f"t{number}", way, address, self.diary, dice)
            self.talkers.append(talker)
            self._talks.append(self._tasks.create_task(talker.live(self._is_over)))
            if number % SECOND_SCREENS == 0:
                screen = SecondScreen(talker, address, self.diary)
                task = self._tasks.create_task(screen.live(self._is_over))
                self._screens.append((screen, talker, task))
            await asyncio.sleep(ARRIVAL_S)

    async def end(self) -> None:
        """Everybody finishes the turn, sees what there is to see, and leaves."""
        self._is_over.set()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*self._talks)
            for screen, talker, task in self._screens:
                await _cancel(task)
                await _see_all(screen, talker)
        runs = ended_runs(self.diary.accounts)
        for viewer, task in self._viewers:
            await viewer.see(runs, PATIENCE_S)
            await _cancel(task)
        for seat in [one.seat for one in self.talkers] + [one.seat for one, _, _ in self._screens]:
            await seat.leave()


async def _see_all(screen: SecondScreen, talker: Talker) -> None:
    """The second screen has all that the first one has."""
    account = talker.seat.account
    if screen.seat.account.session_id != account.session_id:
        await screen.seat.join(account.session_id)
    else:
        await screen.seat.come_back()
    while screen.seat.account.last_seq < account.last_seq:
        await read_on(screen.seat)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


@asynccontextmanager
async def mix_of(site: WholeSite, clients: int) -> AsyncIterator[Mix]:
    """So many talk; all have left, and seen all, when the context ends."""
    async with asyncio.TaskGroup() as tasks:
        mix = Mix(site, tasks)
        await mix.look()
        await mix.grow_to(clients)
        yield mix
        await mix.end()
