"""Agents and clients that hold things up hold up nobody else."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from contextlib import closing

import pytest

from tests.recording import (
    Recorder,
    assert_gapless,
    assert_one_end_each,
    durable,
    kinds,
    log_of,
    text_of,
)
from tests.runners import Runner

from .conftest import Serve
from .plain_http import health

AT_ONCE_S = 20.0
"""What must not wait for a blocked agent may take this long on a busy machine."""

QUICK = {"MYAGENT_CANCEL_GRACE_S": "0.5"}


def lease(database_url: str) -> str:
    """Until when the only runner's lease holds."""
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as database:
        rows = database.execute("SELECT lease_until FROM agents_server WHERE ended_at IS NULL")
        ((lease_until,),) = rows.fetchall()
    return str(lease_until)


# Agents.


async def test_an_answer_too_long_for_a_frame_is_cut_and_says_how_long_it_was(serve: Serve) -> None:
    runner = serve("odd.py")
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        end = await client.ask(session, "writes 400")
        assert end["metadata"]["truncated"] == 400_000
        assert end["content"] == "龍" * (512 * 1024 // 3)
        pieces = [one for one in client.frames if one["event"] == "agent.partial_answer"]
        assert "".join(piece["content"] for piece in pieces) == end["content"]
        assert (await client.ask(session, "says hi"))["content"] == "You said: hi"


async def test_an_agent_that_blocks_its_loop_holds_up_nobody_else(
    serve: Serve, fresh_database_url: str
) -> None:
    if not fresh_database_url.startswith("sqlite"):
        pytest.skip("looks into the file")
    runner = serve("odd.py")
    async with await Recorder.open(runner.url) as blocked:
        session = await blocked.create_session()
        await blocked.say(session, "blocks 60")
        await blocked.until("agent.partial_answer")
        async with asyncio.timeout(AT_ONCE_S), await Recorder.open(runner.url) as other:
            new = await other.create_session()
            await other.say(new, "says hi")
            await other.until("user.message")
            resumed = (await other.reconnect(session))[0]
            assert resumed["metadata"]["status"] == "running"
            held = lease(fresh_database_url)
            while lease(fresh_database_url) == held:
                await other.fence(new)
            while not (report := await health(runner))["agent_stuck_for_s"]:
                await other.fence(new)
        assert report["http_status"] == 503
        assert report["status"] == "degraded"
        async with asyncio.timeout(AT_ONCE_S):
            await blocked.send("user.cancel", session)
            await blocked.until("user.cancel")
            await blocked.until("agent.interrupted")
        assert_one_end_each(blocked.frames)


async def test_a_runner_leaves_although_its_agent_blocks(serve: Serve) -> None:
    runner = serve("odd.py", env={"MYAGENT_SHUTDOWN_GRACE_S": "0.5"})
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        await client.say(session, "blocks 60")
        await client.until("agent.partial_answer")
        status = asyncio.create_task(asyncio.to_thread(runner.stop))
        assert await client.read_to_close() == 4012
        assert await status == 0


async def test_an_agent_that_ignores_being_cancelled_is_given_up(serve: Serve) -> None:
    runner = serve("odd.py", env=QUICK)
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        await client.say(session, "ignores")
        await client.until("agent.partial_answer")
        await client.send("user.cancel", session)
        await client.until("agent.interrupted")
        assert (await client.ask(session, "says hi"))["content"] == "You said: hi"
        assert_gapless(client.frames)
        assert_one_end_each(client.frames)
        assert (await health(runner))["running"] == 0


@pytest.mark.parametrize(
    "name", ["never_returns", pytest.param("stubborn", marks=pytest.mark.long)]
)
async def test_a_tool_that_can_not_be_stopped_is_given_up_and_counted(
    serve: Serve, name: str
) -> None:
    runner = serve("tools.py", env=QUICK)
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        await client.say(session, f"[[tool {name}]] go")
        await client.until("agent.tool_call")
        await asyncio.to_thread(runner.wait_for_log, f"{name} has begun")
        await client.send("user.cancel", session)
        end = await client.until("agent.interrupted")
        assert end["metadata"]["effects"] == [name]
        assert (await client.ask(session, "hello"))["event"] == "agent.final_answer"
        assert_gapless(client.frames)
        assert_one_end_each(client.frames)
        # The worker tells of itself once a second.
        async with asyncio.timeout(AT_ONCE_S):
            while (await health(runner))["abandoned_tools"] != 1:
                await client.fence(session)


async def test_a_run_that_takes_too_long_is_stopped(serve: Serve) -> None:
    runner = serve("odd.py", env={"MYAGENT_RUN_TIMEOUT_S": "0.5", **QUICK})
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        for deed in ("waits", "ignores"):
            end = await client.ask(session, deed)
            assert end["event"] == "agent.timeout"
            assert end["metadata"]["timeout_s"] == 0.5
        assert_one_end_each(client.frames)


# Readers.


async def narrow_socket(runner: Runner) -> socket.socket:
    """A connection that takes in little while nobody reads."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", runner.port))
    return narrow


async def test_a_client_that_does_not_read_is_sent_away_and_misses_nothing(serve: Serve) -> None:
    env = {"MYAGENT_OUTBOX_CHARACTERS": "65536", "MYAGENT_SLOW_CLIENT_S": "0.5"}
    runner = serve("odd.py", env=env)
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        async with await Recorder.open(
            runner.url, sock=await narrow_socket(runner), max_queue=1
        ) as slow:
            await slow.reconnect(session)
            text = "龍" * 80_000
            for number in range(14):
                answer = await client.ask(session, f"says {number} {text}")
                assert answer["content"] == f"You said: {number} {text}"
            async with asyncio.timeout(AT_ONCE_S):
                while (await health(runner))["active_connections"] > 1:
                    await client.fence(session)
            assert await slow.read_to_close() == 4008
            assert slow.frames[-1]["metadata"]["code"] == "slow_client"
        seen = durable(slow.frames)
        assert_gapless(seen)
        async with await Recorder.open(runner.url) as back:
            rest = durable(await back.reconnect(session, seen[-1]["seq"]))
        assert rest, "the test proves nothing if the slow reader had seen it all"
        assert seen + rest == durable(client.frames)


@pytest.mark.long
async def test_a_client_that_reads_late_but_in_time_misses_nothing(serve: Serve) -> None:
    runner = serve("odd.py", env={"MYAGENT_OUTBOX_CHARACTERS": "65536"})
    async with (
        await Recorder.open(runner.url) as client,
        await Recorder.open(runner.url, sock=await narrow_socket(runner), max_queue=1) as slow,
    ):
        session = await client.create_session()
        await slow.reconnect(session)
        for number in range(14):
            await client.ask(session, f"says {number} {'龍' * 80_000}")
        end = await client.ask(session, "counts 20000")
        await slow.end_of(end["metadata"]["run_id"])
        assert durable(slow.frames) == durable(client.frames)


async def test_a_long_answer_in_many_pieces_arrives_whole(serve: Serve) -> None:
    runner = serve("odd.py")
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        end = await client.ask(session, "counts 20000")
        assert len(end["content"]) == 20_000 * 8
        assert text_of(client.frames, end["metadata"]["run_id"]) == end["content"]


async def test_silence_is_broken_by_a_heartbeat(serve: Serve) -> None:
    runner = serve("odd.py", env={"MYAGENT_HEARTBEAT_S": "0.2"})
    async with await Recorder.open(runner.url) as client:
        for _ in range(2):
            heartbeat = await client.until("system.heartbeat")
        assert heartbeat["content"] is None
        assert "seq" not in heartbeat
        await log_of(runner.url, await client.create_session())
        assert kinds(client.frames)[0] == "system.connected"
