"""Viewers of all traces beside what dies: nothing is missing, and both attempts are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import MySQLdb
import pytest

from myagent.protocol import CloseCode
from tests.crash.conftest import Site
from tests.crash.test_kill import kill
from tests.crash.witness import Witness, read_out
from tests.crash.workers import kill_worker
from tests.fake_model import FakeModel
from tests.recording import PATIENCE_S
from tests.runners import Runner
from tests.servers import MariaDB, Redis
from tests.trace_client import Frame, Watcher, assert_in_order, watcher

pytestmark = pytest.mark.both_databases(when_long=True)

SHORT = {"MYAGENT_LEASE_S": "3", "MYAGENT_RENEW_S": "0.3", "MYAGENT_ADOPT_S": "0.2"}


@asynccontextmanager
async def watching(runner: Runner, since: str | None = None) -> AsyncIterator[Watcher]:
    query = "" if since is None else f"?since={since}"
    async with watcher(f"{runner.url}ws/traces/{query}") as viewer:
        await viewer.receive()
        yield viewer


async def until_all(viewer: Watcher, wanted: set[str], known: list[Frame]) -> None:
    while not wanted <= {frame["message_id"] for frame in known + viewer.frames}:
        await viewer.receive()


async def all_of(runner: Runner) -> dict[str, Frame]:
    """Every message of every trace, once all have ended."""
    async with watching(runner, "0") as viewer:
        await viewer.until("trace_completed")
    return {f["message_id"]: f for f in viewer.frames if f["data"].get("trace_id")}


async def test_a_viewer_sees_what_another_server_does(site: Site) -> None:
    owner, other = await site.start(**SHORT), await site.start(**SHORT)
    async with watching(other) as viewer:
        await see_a_turn(owner, viewer)


@pytest.mark.long
async def test_a_viewer_sees_it_with_redis_as_well(site: Site, redis_server: Redis) -> None:
    environment = SHORT | {"REDIS_URL": redis_server.url}
    owner, other = await site.start(**environment), await site.start(**environment)
    async with watching(other) as viewer:
        await see_a_turn(owner, viewer)


async def see_a_turn(owner: Runner, viewer: Watcher) -> None:
    witness = await Witness.arrive(owner.url)
    await witness.say('look [[tool look {"text": "a"}]]')
    await viewer.until("trace_completed")
    assert viewer.types("connection_established", "status_update", "span_started") == [
        *("trace_started", "think_completed", "tool_completed", "think_completed"),
        "trace_completed",
    ]
    assert_in_order(viewer.frames)
    await witness.leave()


async def test_a_viewer_sees_both_attempts_when_the_worker_dies(site: Site) -> None:
    runner = await site.start()
    witness = await Witness.arrive(runner.url)
    async with watching(runner) as viewer:
        await witness.say("hello [[hold model after=3]]")
        await site.fake.wait_held("model")
        await kill_worker(runner)
        again = await viewer.until(
            "span_started", lambda frame: frame["data"]["metadata"]["attempt"] == 2
        )
        assert again["data"]["status"] == "running", "it is seen before it ends"
        site.fake.release("model")
        await viewer.until("trace_completed")
    thoughts = viewer.of("think_completed")
    assert [each["data"]["status"] for each in thoughts] == ["cut_off", "success"]
    assert_in_order(viewer.frames)
    await witness.leave()


@pytest.mark.both_databases
async def test_a_viewer_stays_when_the_owner_is_killed(site: Site) -> None:
    owner, other = await site.start(**SHORT), await site.start(**SHORT)
    witness = await Witness.arrive(owner.url)
    async with watching(other) as viewer:
        await witness.say("hello [[hold model]]")
        await site.fake.wait_held("model")
        owner.kill()
        await read_out(witness)
        site.fake.release("model")
        await viewer.until("trace_completed")
    assert_in_order(viewer.frames)
    assert {frame["data"]["trace_id"] for frame in viewer.of("think_completed")}
    await witness.leave()


async def test_a_viewer_whose_server_is_killed_goes_on_from_its_cursor(site: Site) -> None:
    runner = await site.start()
    witness = await Witness.arrive(runner.url)
    async with watching(runner) as viewer:
        await witness.say('hello [[hold model]] [[tool look {"text": "a"}]]', message_id="first")
        await viewer.until("span_started")
        await site.fake.wait_held("model")
        await kill(runner, witness)
        assert await viewer.read_to_close() is not None
    site.fake.release("model")
    following = await site.start()
    second_witness = Witness(await witness.recorder.open(following.url), witness.session_id)
    await second_witness.recorder.reconnect(witness.session_id)
    await second_witness.until_ended(1)
    wanted = await all_of(following)
    async with watching(following, viewer.frames[-1]["cursor"]) as second:
        await until_all(second, set(wanted), viewer.frames)
    assert_in_order(viewer.frames + second.frames)
    await second_witness.leave()


@pytest.mark.both_databases
async def test_two_viewers_beside_many_turns_see_every_message(site: Site) -> None:
    owner, other = await site.start(**SHORT), await site.start(**SHORT)
    witnesses = [await Witness.arrive(url) for url in (owner.url, other.url) * 3]

    async def talk(witness: Witness) -> None:
        for number in range(4):
            await witness.say(f"turn {number}")
        await witness.until_ended(4)

    async with watching(owner) as here, watching(other) as there:
        await asyncio.gather(*(talk(witness) for witness in witnesses))
        for viewer in (here, there):
            while len(viewer.of("trace_completed")) < 24:
                await viewer.receive()
            assert_in_order(viewer.frames)
        told = [
            {f["message_id"] for f in viewer.frames if f["data"].get("trace_id")}
            for viewer in (here, there)
        ]
        assert told[0] == told[1]
    for witness in witnesses:
        await witness.leave()


async def test_who_comes_back_by_a_label_is_greeted_once_its_place_is_known(
    own_mariadb: MariaDB, mariadb_site: Site, fake_model: FakeModel
) -> None:
    """Greeted earlier, a page would wait for an end that is not told to it."""
    runner = await mariadb_site.start()
    label = f"{runner.url}ws/ann"
    somebody = MySQLdb.connect(host="127.0.0.1", port=own_mariadb.port, user="root", db="site")
    with closing(somebody):
        async with watcher(label) as first:
            await first.start("[[hold h]] hello")
            await fake_model.wait_held("h")
            somebody.cursor().execute("LOCK TABLES traces_label WRITE")
            async with watcher(label) as second:
                fake_model.release("h")
                await first.until("trace_completed")
                # What the server has sent before its pong has arrived.
                await (await second.socket.ping())
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0):
                        await second.socket.recv()
                somebody.cursor().execute("UNLOCK TABLES")
                await second.until("connection_established")
                await second.ask("goodbye")
                assert [f["data"]["request"] for f in second.of("trace_started")] == ["goodbye"]


async def test_who_can_not_be_told_what_runs_is_sent_away_and_greeted_when_it_comes_back(
    own_mariadb: MariaDB, mariadb_site: Site
) -> None:
    runner = await mariadb_site.start()
    label = f"{runner.url}ws/ann"
    async with watcher(label) as client:
        await client.until("connection_established")
        await client.ask("hello")
    await asyncio.to_thread(own_mariadb.kill)
    async with watcher(label) as client:
        await assert_is_sent_away(client)
    await asyncio.to_thread(own_mariadb.restart)

    async def told_to_a_question() -> Frame:
        """Or in the place of the greeting."""
        async with watcher(label) as client:
            frame = await client.receive()
            if frame["event_type"] == "connection_established":
                await client.start("goodbye")
                frame = await client.receive()
            return frame

    async with asyncio.timeout(PATIENCE_S):
        # The server may only notice now that its connections to the database are gone.
        while (told := await told_to_a_question())["event_type"] == "run_error":
            pass
    assert (told["event_type"], told["data"]["request"]) == ("trace_started", "goodbye")


async def test_who_can_not_join_the_conversation_that_was_found_is_not_greeted(
    own_mariadb: MariaDB, mariadb_site: Site
) -> None:
    runner = await mariadb_site.start()
    async with watcher(f"{runner.url}ws/ann") as client:
        await client.ask("hello")
    runner.stop()
    runner = await mariadb_site.start()
    label = f"{runner.url}ws/ann"
    somebody = MySQLdb.connect(host="127.0.0.1", port=own_mariadb.port, user="root", db="site")
    with closing(somebody):
        somebody.begin()
        somebody.cursor().execute("SELECT id FROM agents_session FOR UPDATE")
        async with watcher(label) as client:
            await assert_is_sent_away(client)
    async with watcher(label) as client:
        assert (await client.receive())["event_type"] == "connection_established"


async def assert_is_sent_away(client: Watcher) -> None:
    """As long as the database does not answer."""
    assert await client.read_to_close() == CloseCode.NO_SERVICE_AVAILABLE
    assert client.types() == ["run_error"]
