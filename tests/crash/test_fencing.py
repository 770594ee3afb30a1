"""A session has one owner: zombies are fenced, the dead replaced, killers of workers stopped."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.crash.conftest import Site
from tests.crash.witness import (
    Witness,
    assert_promises,
    count,
    execute,
    read_log,
    read_out,
    until,
    until_logged_ends,
)
from tests.freezing import freeze
from tests.recording import TERMINAL, Recorder
from tests.runners import Runner

pytestmark = pytest.mark.both_databases(when_long=True)

SHORT = {"MYAGENT_LEASE_S": "3", "MYAGENT_RENEW_S": "0.3", "MYAGENT_ADOPT_S": "0.2"}


async def asleep_while_another_takes_over(site: Site, text: str) -> tuple[Runner, Runner, Witness]:
    """A runner stopped in its sleep, the one that adopted its session, and its first client."""
    zombie = await site.start(**SHORT)
    witness = await Witness.arrive(zombie.url)
    await witness.say(text)
    return zombie, await site.start(**SHORT), witness


@pytest.mark.both_databases
async def test_a_zombie_writes_nothing_and_its_clients_stay(site: Site) -> None:
    zombie, _, witness = await asleep_while_another_takes_over(site, "hi [[hold model after=2]]")
    await site.fake.wait_held("model")
    await asyncio.to_thread(freeze, zombie.process.pid, site.database_url)
    await site.fake.wait_held("model", 2)
    site.fake.release("model")
    await until_logged_ends(site.database_url, witness.session_id, 1)
    log = read_log(site.database_url, witness.session_id)
    zombie.signal(signal.SIGCONT)
    await witness.until_ended(1)
    assert read_log(site.database_url, witness.session_id) == log
    assert_promises(site.database_url, witness.session_id, witness)
    await witness.leave()


async def test_the_clients_of_a_zombie_with_nothing_to_write_stay_too(site: Site) -> None:
    zombie, heir, witness = await asleep_while_another_takes_over(
        site, 'hi [[tool transfer {"text": "a"}]]'
    )
    question = await witness.recorder.until("agent.user_confirm")
    await asyncio.to_thread(freeze, zombie.process.pid, site.database_url)
    await until(lambda: owner_is(heir, site, witness.session_id))
    other = Witness(await Recorder.open(heir.url), witness.session_id)
    await other.recorder.reconnect(witness.session_id)
    await other.recorder.send(
        "user.response",
        witness.session_id,
        step_id=question["step_id"],
        content={"approved": True},
    )
    await other.until_ended(1)
    zombie.signal(signal.SIGCONT)
    await witness.until_ended(1)
    assert count(site.folder, "transfer") == 1
    assert_promises(site.database_url, witness.session_id, witness, other)
    await witness.leave()
    await other.leave()


async def test_a_zombie_serves_again_once_it_is_awake(site: Site) -> None:
    zombie, _, witness = await asleep_while_another_takes_over(site, "hi [[hold model]]")
    await site.fake.wait_held("model")
    await asyncio.to_thread(freeze, zombie.process.pid, site.database_url)
    await site.fake.wait_held("model", 2)
    site.fake.release("model")
    await until_logged_ends(site.database_url, witness.session_id, 1)
    zombie.signal(signal.SIGCONT)
    await witness.until_ended(1)
    await asyncio.to_thread(zombie.wait_for_log, "lease_taken_anew")
    newcomer = await Witness.arrive(zombie.url)
    await newcomer.say("hello")
    await newcomer.until_ended(1)
    assert_promises(site.database_url, newcomer.session_id, newcomer)
    await newcomer.leave()


@pytest.mark.both_databases
async def test_a_message_that_a_lost_ownership_refused_runs_all_the_same(site: Site) -> None:
    server = await site.start()
    lost = await Witness.arrive(server.url)
    recorder = lost.recorder
    kept = Witness(recorder, await recorder.create_session())
    await lost.say("hello")
    await lost.until_ended(1)
    # Another server had it for a moment, and has left it again.
    taken = "UPDATE agents_session SET epoch = epoch + 1, owner_id = NULL"
    execute(site.database_url, f"{taken} WHERE id = '{lost.session_id}'")
    await lost.say("are you there?", message_id="again")
    await kept.say("hello")
    await kept.until_ended(1)
    await lost.until_ended(2)
    for witness in (lost, kept):
        assert_promises(site.database_url, witness.session_id, witness)
    await lost.leave()


@pytest.mark.both_databases
async def test_a_running_replica_adopts_what_a_killed_one_left(site: Site) -> None:
    killed, heir = await site.start(), await site.start()
    witness = await Witness.arrive(killed.url)
    await witness.say("hello [[hold model]]")
    await site.fake.wait_held("model")
    killed.kill()
    await read_out(witness)
    site.fake.release("model")
    await until_logged_ends(site.database_url, witness.session_id, 1)
    await witness.reattach(heir.url)
    await witness.until_ended(1)
    assert_promises(site.database_url, witness.session_id, witness)
    assert witness.durable[-1]["content"] == "Answer to: hello"
    await witness.leave()


@pytest.mark.parametrize(("mode", "runs"), [("", 1), ("idempotent", 2)])
async def test_a_bare_agent_starts_again_only_if_it_may(site: Site, mode: str, runs: int) -> None:
    runner = await site.start("bare_agent.py", BARE=mode)
    witness = await Witness.arrive(runner.url)
    await witness.say("hello")
    await until(lambda: count(site.folder, "bare") == 1)
    runner.kill()
    await read_out(witness)
    (site.folder / "gate").touch()
    runner = await site.start("bare_agent.py", BARE=mode)
    await until_logged_ends(site.database_url, witness.session_id, 1)
    await witness.reattach(runner.url)
    await witness.until_ended(1)
    end = witness.durable[-1]
    assert count(site.folder, "bare") == runs
    if mode:
        assert (end["event"], end["content"]) == ("agent.final_answer", "Done: hello")
    else:
        assert end["event"] == "agent.error"
        assert (end["metadata"]["code"], end["metadata"]["retryable"]) == ("agent_error", True)
    assert_promises(site.database_url, witness.session_id, witness)
    await witness.leave()


@pytest.mark.parametrize(
    ("file", "text", "mark"),
    [
        ("counting_agent.py", 'go [[tool die {"text": "a"}]]', "die"),
        pytest.param("bare_agent.py", "go", "bare", marks=pytest.mark.long),
    ],
)
async def test_a_run_that_kills_its_workers_is_ended_at_the_third_death(
    site: Site, file: str, text: str, mark: str
) -> None:
    runner = await site.start(file, BARE="idempotent, dies")
    witness = await Witness.arrive(runner.url)
    await witness.say(text)
    await witness.until_ended(1)
    end = next(frame for frame in witness.durable if frame["event"] in TERMINAL)
    assert (end["event"], end["metadata"]["code"]) == ("agent.error", "agent_error")
    assert count(site.folder, mark) == 3
    assert runner.process.poll() is None
    # The same socket, the same session: the server has lost nothing.
    (site.folder / "gate").touch()
    await witness.say("and then?")
    await witness.until_ended(2)
    assert_promises(site.database_url, witness.session_id, witness)
    await witness.leave()


def owner_is(runner: Runner, site: Site, session_id: str) -> bool:
    rows = site.query(
        "SELECT r.port FROM agents_session s JOIN agents_server r ON s.owner_id = r.id"
        f" WHERE s.id = '{session_id}'"
    )
    return rows == [(runner.port,)]
