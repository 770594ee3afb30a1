"""Links: how they begin, and what each of them costs the others."""

from __future__ import annotations

import asyncio
import struct
import threading
import time
from collections.abc import AsyncGenerator, Sequence

import pytest

from myagent.agent import Runnable
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Usage
from myagent.runnable import NOTHING_DONE
from myagent.steps import (
    Answer,
    Confirm,
    Resume,
    Step,
    TextDelta,
    Thought,
)
from myagent.worker import links, report, server, text
from myagent.worker.codec import encode
from myagent.worker.framing import MAX_FRAME_BYTES, framed
from myagent.worker.protocol import (
    VERSION,
    Hello,
    Ping,
    Pong,
    Ready,
    Stepping,
    Steps,
    Stopped,
    Text,
    Unfit,
)
from tests.inline_worker import inline_worker
from tests.myagent.worker.agents import Agents, Waiting, echo, yielding
from tests.myagent.worker.dialling import PATIENCE_S, Dialled, connected, dialled, start

# Links.


async def test_a_link_that_ends_ends_its_runs_and_no_others() -> None:
    agents = Agents()
    with inline_worker(agents) as worker:
        async with dialled(worker.path) as stays:
            stays.say(start(session="stays"))
            await stays.hear(Stepping)
            async with dialled(worker.path) as leaves:
                leaves.say(start(session="leaves"))
                await leaves.hear(Stepping)
            # Another server starts it again, with a higher key.
            stays.say(start(session="leaves", epoch=2))
            assert (await stays.hear(Stepping)).key.session_id == "leaves"
            stays.say(Ping(1))
            assert (await stays.hear(Pong)).report.running == 2
            assert not any(isinstance(message, Stopped) for message in stays.heard)


async def test_a_reader_that_never_reads_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MAX_UNREAD_BYTES", 4 << 20)
    wish = ChatMessage("assistant", "x" * (1 << 20), (ToolCall("id", "t", "{}"),))
    with inline_worker(yielding(Thought(1, "", wish, Usage(), 0))) as worker:
        async with dialled(worker.path) as link, dialled(worker.path) as deaf:
            deaf.pause()
            deaf.say(*(start(session=str(number)) for number in range(16)))
            link.say(start())
            await link.hear(Steps)
            # Each run waits for its answer: only the end of their link ends them.
            running = 0
            while running != 1:
                link.say(Ping(1))
                running = (await link.hear(Pong)).report.running


async def test_text_gathers_while_nobody_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "TEXT_INTERVAL_S", 0.0)
    pieces = [f"{number:<10000}" for number in range(50)]
    has_told = threading.Event()

    class Telling(Waiting):
        async def run(
            self, history: Sequence[ChatMessage], *, confirm: Confirm, resume: Resume = NOTHING_DONE
        ) -> AsyncGenerator[Step, None]:
            for piece in pieces:
                yield TextDelta(1, piece)
                await asyncio.sleep(0.001)  # Time has to pass between two frames.
            has_told.set()
            yield Answer("done", 1, Usage())

    async def make() -> Runnable:
        return Telling()

    with inline_worker(make) as worker:
        async with dialled(worker.path) as link:
            for is_read, attempt in ((True, 1), (False, 2)):
                link.heard.clear()
                has_told.clear()
                if not is_read:
                    link.pause()
                    link.say(start(attempt=attempt))
                    assert await asyncio.to_thread(has_told.wait, PATIENCE_S)
                    link.resume()
                    await link.hear(Steps)
                else:
                    await link.steps_of(start(attempt=attempt))
                told = [message.text for message in link.heard if isinstance(message, Text)]
                assert "".join(told) == "".join(pieces)
                assert (len(told) == len(pieces)) is is_read


async def test_a_frame_may_come_in_pieces() -> None:
    with inline_worker(echo) as worker:
        async with connected(worker.path) as link:
            for byte in framed(encode(Hello(VERSION, "slow"))):
                link.writer.write(bytes([byte]))
                await link.writer.drain()
                await asyncio.sleep(0)
            assert (await link.hear(Ready)).instance_id == "inline"


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        framed(b"{}"),
        framed(b"no json"),
        framed(encode(Ping(1))),
        struct.pack(">I", MAX_FRAME_BYTES + 1),
        framed(encode(Hello(VERSION, "a"))) * 2,
        framed(encode(Hello(VERSION, "a"))) + framed(b'{"kind":"ready"}'),
    ],
    ids=["http", "no kind", "no json", "no hello", "too large", "two hellos", "a worker's"],
)
async def test_who_says_anything_else_is_hung_up_on_and_no_one_else(said: bytes) -> None:
    with inline_worker(echo) as worker:
        async with dialled(worker.path) as other, connected(worker.path) as link:
            link.writer.write(said)
            await link.ended()
            assert isinstance((await other.steps_of(start()))[-1], Answer)


async def test_half_a_frame_costs_nobody_anything() -> None:
    with inline_worker(echo) as worker:
        async with dialled(worker.path) as other:
            async with dialled(worker.path) as link:
                link.writer.write(framed(encode(start()))[:-5])
                await link.writer.drain()
            assert isinstance((await other.steps_of(start()))[-1], Answer)


async def test_another_version_is_told_which_one_is_spoken() -> None:
    with inline_worker(echo) as worker:
        async with connected(worker.path) as link:
            link.say(Hello(VERSION + 1, "newer"))
            assert await link.ended() == [Unfit(VERSION)]


async def test_who_is_silent_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "HELLO_TIMEOUT_S", 0.01)
    with inline_worker(echo) as worker:
        async with connected(worker.path) as link:
            assert await link.ended() == []


async def test_more_links_than_there_may_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_LINKS", 1)
    with inline_worker(echo) as worker:
        async with dialled(worker.path) as link:
            async with connected(worker.path) as second:
                assert await second.ended() == []
            assert isinstance((await link.steps_of(start()))[-1], Answer)


async def test_each_link_is_told_the_worst_lag_since_it_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report, "LAG_SAMPLE_S", 0.001)

    async def lag_told(link: Dialled) -> float:
        link.say(Ping(1))
        return (await link.hear(Pong)).report.lag_ms

    with inline_worker(echo) as worker:
        async with dialled(worker.path) as one, dialled(worker.path) as other:
            while await lag_told(one) < 200:
                worker.call(time.sleep, 0.25)
            assert await lag_told(other) >= 200
