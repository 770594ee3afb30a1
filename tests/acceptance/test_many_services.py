"""One server carries the conversations of many services, whatever becomes of their workers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.freezing import freeze
from tests.managed_site import Command, ManagedSite, managed_site, until
from tests.ports import free_port
from tests.recording import TERMINAL, Recorder, assert_gapless, assert_one_end_each

AGENT = '''
import asyncio
from pathlib import Path

async def agent(text):
    """Echoes; `hold FILE` goes on once the file is there; `long N` takes N short steps."""
    yield "NAME says: "
    deed, _, rest = text.partition(" ")
    if deed == "hold":
        while not Path(rest).exists():
            await asyncio.sleep(0.01)
    if deed == "long":
        for number in range(int(rest)):
            yield f"{number} "
            await asyncio.sleep(0.01)
    yield text

agent.idempotent = True
'''

SHORT_LEASES = {"MYAGENT_LEASE_S": "3", "MYAGENT_RENEW_S": "0.5", "MYAGENT_ADOPT_S": "0.3"}
QUICK = {"MYAGENT_SHUTDOWN_GRACE_S": "20", "MYAGENT_MESSAGES_PER_SECOND": "0"}


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    with managed_site(fresh_database_url, tmp_path, **QUICK) as site:
        yield site


@pytest.fixture
def serving(site: ManagedSite) -> Command:
    """A server with `one` and `other` running."""
    serving = site.serve()
    for name in ("one", "other"):
        file = site.write(f"{name}.py", AGENT.replace("NAME", name))
        site.register(name, file, "--auto-start")
    for name in ("one", "other"):
        site.until_runs(name)
    return serving


@pytest.fixture
async def clients() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def test_each_service_answers_at_its_own_door(site: ManagedSite, serving: Command) -> None:
    for name in ("one", "other"):
        async with await Recorder.open(site.url(serving, name)) as client:
            session = await client.create_session()
            assert (await client.ask(session, "hi"))["content"] == f"{name} says: hi"
            created = next(f for f in client.frames if f["event"] == "agent.session_created")
            assert created["metadata"]["service"] == name


async def test_a_door_lets_nobody_into_another_services_conversation(
    site: ManagedSite, serving: Command
) -> None:
    async with await Recorder.open(site.url(serving, "one")) as client:
        session = await client.create_session()
        await client.ask(session, "hi")
        async with await Recorder.open(site.url(serving, "other")) as stranger:
            await stranger.send("user.reconnect", session, metadata={"last_seq": 0})
            await stranger.error("unknown_session")
            await stranger.send("user.create_session", metadata={"service": "one"})
            await stranger.error("no_service")


@pytest.mark.long
async def test_where_no_service_is_named_the_only_one_that_runs_is_meant(
    site: ManagedSite, serving: Command
) -> None:
    root = site.url(serving, "one").partition("services/")[0]
    async with await Recorder.open(root) as client:
        await client.send("user.create_session")
        await client.error("no_service")
        await client.send("user.create_session", metadata={"service": "other"})
        assert (await client.until("agent.session_created"))["metadata"]["service"] == "other"
        await asyncio.to_thread(site.services, "stop", "other")
        await client.send("user.create_session")
        assert (await client.until("agent.session_created"))["metadata"]["service"] == "one"


async def test_an_unknown_service_has_no_door(site: ManagedSite, serving: Command) -> None:
    client = await Recorder.dial(site.url(serving, "nobody"))
    assert await client.read_to_close() == 4004


async def test_a_restart_under_load_fails_no_turn_and_closes_no_socket(
    site: ManagedSite, serving: Command, clients: AsyncExitStack
) -> None:
    done = asyncio.Event()

    async def talk(number: int) -> Recorder:
        client = await clients.enter_async_context(await Recorder.open(site.url(serving, "one")))
        session = await client.create_session()
        turn = 0
        while not done.is_set() or turn < 2:
            turn += 1
            end = await client.ask(session, f"long {5 + number}")
            assert end["event"] == "agent.final_answer", end
        return client

    async with asyncio.TaskGroup() as group:
        talking = [group.create_task(talk(number)) for number in range(10)]
        (before,) = site.until_runs("one")
        await asyncio.to_thread(site.services, "restart", "one")
        assert site.until_runs("one", not_as={before})
        done.set()
    for task in talking:
        assert_gapless(task.result().frames)
        assert_one_end_each(task.result().frames)


@pytest.mark.long
async def test_a_broken_file_leaves_the_old_worker_serving(
    site: ManagedSite, serving: Command
) -> None:
    async with await Recorder.open(site.url(serving, "one")) as client:
        session = await client.create_session()
        pids = site.until_runs("one")
        site.write("one.py", "def broken(")
        said = await asyncio.to_thread(site.services, "restart", "one", expect=None)
        assert "syntax error" in said
        assert (await client.ask(session, "hi"))["content"] == "one says: hi"
        assert set(pids) <= {worker.pid for worker in site.workers("one")}


async def test_runs_go_on_at_another_replica_when_a_worker_is_killed(
    site: ManagedSite, serving: Command, clients: AsyncExitStack, tmp_path: Path
) -> None:
    file = site.write("two.py", AGENT.replace("NAME", "two"))
    site.register("two", file, "--auto-start", "--replicas", "2")
    victim, _ = site.until_runs("two", 2)
    gate = tmp_path / "gate"
    talks = []
    for _ in range(20):
        client = await clients.enter_async_context(await Recorder.open(site.url(serving, "two")))
        session = await client.create_session()
        await client.say(session, f"hold {gate}")
        await client.until("agent.partial_answer")
        talks.append(client)
    os.kill(victim, signal.SIGKILL)
    moved = 0
    for client in talks:
        gate.touch()
        end = await client.until(*TERMINAL)
        assert end["content"] == f"two says: hold {gate}"
        assert_one_end_each(client.frames)
        moved += any(
            f["metadata"].get("code") == "continued" for f in client.frames if f["metadata"]
        )
    assert moved > 0, "the killed worker had some of the runs"
    assert site.until_runs("two", 2, not_as={victim})


async def test_a_stop_lets_runs_finish_and_refuses_new_ones_until_the_next_start(
    site: ManagedSite, serving: Command, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    async with await Recorder.open(site.url(serving, "one")) as client:
        session = await client.create_session()
        await client.say(session, f"hold {gate}")
        await client.until("agent.partial_answer")
        stopping = asyncio.create_task(asyncio.to_thread(site.services, "stop", "one"))
        # The database sends no event.
        while (await asyncio.to_thread(site.service, "one"))["desired"] != "stopped":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        gate.touch()
        end = await client.until(*TERMINAL)
        assert end["event"] == "agent.final_answer"
        await stopping
        await client.say(session, "too late")
        refusal = await client.error("service_unavailable")
        assert refusal["content"] == "The service is not running. Try again later."
        await client.send("user.create_session", metadata={"service": "one"})
        refusal = await client.error("service_unavailable")
        assert refusal["content"] == "The service is not running. Try again later."
        await asyncio.to_thread(site.services, "start", "one")
        assert (await client.ask(session, "again"))["content"] == "one says: again"
        assert_gapless(client.frames)


async def test_unregistering_a_service_ends_its_runs(
    site: ManagedSite, serving: Command, tmp_path: Path
) -> None:
    async with await Recorder.open(site.url(serving, "one")) as client:
        session = await client.create_session()
        await client.say(session, f"hold {tmp_path / 'never'}")
        await client.until("agent.partial_answer")
        unregistering = asyncio.create_task(
            asyncio.to_thread(site.services, "unregister", "one", expect=None)
        )
        assert (await client.until(*TERMINAL))["event"] == "agent.interrupted"
        await unregistering


@pytest.mark.long
async def test_a_port_of_its_own_stays_open_over_a_restart(
    site: ManagedSite, serving: Command
) -> None:
    port = free_port()
    file = site.write("own.py", AGENT.replace("NAME", "own"))
    site.register("own", file, "--auto-start", "--host", "127.0.0.1", "--port", str(port))
    site.until_runs("own")
    async with await Recorder.open(f"ws://127.0.0.1:{port}/") as client:
        session = await client.create_session()
        assert (await client.ask(session, "hi"))["content"] == "own says: hi"
        await asyncio.to_thread(site.services, "restart", "own")
        assert (await client.ask(session, "still"))["content"] == "own says: still"


@pytest.mark.long
async def test_conversations_go_on_at_the_next_server_when_one_is_killed(
    site: ManagedSite, serving: Command, tmp_path: Path
) -> None:
    """The workers outlive it, and the next one finds them."""
    pids = site.until_runs("one")
    gate = tmp_path / "gate"
    client = await Recorder.open(site.url(serving, "one"))
    session = await client.create_session()
    await client.say(session, f"hold {gate}")
    await client.until("agent.partial_answer")
    serving.kill()
    await client.read_to_close()
    heir = await asyncio.to_thread(site.serve)
    gate.touch()
    async with await Recorder.open(site.url(heir, "one")) as again:
        await again.send("user.reconnect", session, metadata={"last_seq": 0})
        end = await again.until(*TERMINAL)
        assert end["content"] == f"one says: hold {gate}"
        assert_one_end_each(again.frames)
    assert site.until_runs("one") == pids


COUNTING = """
import asyncio
from myagent import create_react_agent, tool
from myagent.testing import ScriptedModel, call
from pathlib import Path

@tool(idempotent=True)
async def work() -> str:
    "Takes until it is let go."
    with Path("BEGUN").open("a") as file:
        file.write("begun\\n")
    while not Path("GATE").exists():
        await asyncio.sleep(0.01)
    with Path("DONE").open("a") as file:
        file.write("done\\n")
    return "worked"

def reply(request):
    return "done" if request.messages[-1].role == "tool" else call("work")

agent = create_react_agent(tools=[work], model=ScriptedModel(reply))
"""


async def test_a_server_that_slept_doubles_nothing_at_the_worker_of_its_heir(
    site: ManagedSite, tmp_path: Path
) -> None:
    gate, done, begun = tmp_path / "gate", tmp_path / "done", tmp_path / "begun"
    code = COUNTING.replace("GATE", str(gate)).replace("DONE", str(done))
    code = code.replace("BEGUN", str(begun))
    serving = await asyncio.to_thread(site.serve, **SHORT_LEASES)
    site.register("counting", site.write("counting.py", code), "--auto-start")
    (worker,) = site.until_runs("counting")
    heir = await asyncio.to_thread(site.serve, MYAGENT_SUPERVISOR="external", **SHORT_LEASES)
    sleeper = await Recorder.open(site.url(serving, "counting"))
    session = await sleeper.create_session()
    await sleeper.say(session, "work")
    await sleeper.until("agent.tool_call")
    await asyncio.to_thread(freeze, serving.process.pid, site.database_url)
    client = await Recorder.open(site.url(heir, "counting"))
    await client.reconnect(session)
    await asyncio.to_thread(until, lambda: begun.read_text() == "begun\n" * 2)
    gate.touch()
    end = await client.until(*TERMINAL)
    assert end["content"] == "done"
    serving.send(signal.SIGCONT)
    # It follows the session, which is its heir's now.
    assert (await sleeper.until(*TERMINAL))["content"] == "done"
    for each in (sleeper, client):
        assert_one_end_each(each.frames)
    assert done.read_text() == "done\n"
    assert site.until_runs("counting") == [worker]
    await client.socket.close()
    await sleeper.socket.close()


CAREFUL = """
from myagent import create_react_agent, tool
from myagent.testing import ScriptedModel, call

@tool(requires_confirmation=True)
def order() -> str:
    "Orders something."
    return "ordered"

agent = create_react_agent(tools=[order], model=ScriptedModel([call("order"), "done"]))
"""


@pytest.mark.long
async def test_a_stop_ends_also_what_waits_for_somebodys_yes(
    site: ManagedSite, serving: Command
) -> None:
    site.register("careful", site.write("careful.py", CAREFUL), "--auto-start")
    site.until_runs("careful")
    async with await Recorder.open(site.url(serving, "careful")) as client:
        session = await client.create_session()
        await client.say(session, "order it")
        await client.until("agent.user_confirm")
        await asyncio.to_thread(site.services, "stop", "careful")
        assert (await client.until(*TERMINAL))["event"] == "agent.interrupted"


@pytest.mark.long
async def test_a_restart_moves_what_waits_for_somebodys_yes(
    site: ManagedSite, serving: Command
) -> None:
    site.register("careful", site.write("careful.py", CAREFUL), "--auto-start")
    site.until_runs("careful")
    async with await Recorder.open(site.url(serving, "careful")) as client:
        session = await client.create_session()
        await client.say(session, "order it")
        question = await client.until("agent.user_confirm")
        await asyncio.to_thread(site.services, "restart", "careful")
        content = {"approved": True}
        await client.send("user.response", session, step_id=question["step_id"], content=content)
        result = await client.until("agent.tool_result")
        assert result["metadata"]["status"] == "success"
        # The scripted model of the new process begins with its first reply again.
        assert (await client.until("agent.user_confirm"))["step_id"] != question["step_id"]
        assert_gapless(client.frames)
