"""A process leaves once; whoever asks again makes it hurry, and it ends also if leaving fails."""

from __future__ import annotations

import asyncio
import os
import signal

from agents.runtime.leaving import Leaving


async def test_a_second_signal_makes_it_hurry() -> None:
    waits, has_left = asyncio.Event(), asyncio.Event()
    hurried = []

    async def leave() -> None:
        waits.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            hurried.append(True)

    leaving = Leaving(leave, has_left.set)
    with leaving.at_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        await waits.wait()
        assert not has_left.is_set()
        os.kill(os.getpid(), signal.SIGHUP)
        await has_left.wait()
    assert hurried == [True]


async def test_it_ends_also_if_leaving_fails() -> None:
    has_left = asyncio.Event()

    async def leave() -> None:
        raise OSError("no way out")

    Leaving(leave, has_left.set).begin()
    await has_left.wait()
