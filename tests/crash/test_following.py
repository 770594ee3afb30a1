"""Two servers, and clients of one session at both: each sees every event once and in order."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.crash.conftest import Site
from tests.crash.witness import Witness, assert_promises, count, execute, read_out, until
from tests.freezing import freeze
from tests.recording import Recorder, text_of
from tests.runners import Runner
from tests.servers import Redis

pytestmark = pytest.mark.both_databases(when_long=True)

SHORT = {"MYAGENT_LEASE_S": "3", "MYAGENT_RENEW_S": "0.3", "MYAGENT_ADOPT_S": "0.2"}


async def arrive_beside(other: Runner, witness: Witness) -> Witness:
    """A client of the same session at another server."""
    follower = Witness(await Recorder.open(other.url), witness.session_id)
    await follower.recorder.reconnect(witness.session_id)
    return follower


async def both_clients(site: Site, **environment: str) -> tuple[Runner, Runner, Witness, Witness]:
    """The owner, another server, and a client at each."""
    owner, other = (
        await site.start(**SHORT, **environment),
        await site.start(**SHORT, **environment),
    )
    witness = await Witness.arrive(owner.url)
    return owner, other, witness, await arrive_beside(other, witness)


async def leave(*witnesses: Witness) -> None:
    for witness in witnesses:
        await witness.leave()


@pytest.mark.both_databases
async def test_clients_at_two_servers_talk_in_one_session(site: Site) -> None:
    _, _, witness, follower = await both_clients(site)
    await witness.say("from the owner's")
    await follower.until_ended(1)
    await follower.say("from the follower's")
    await follower.say("again", message_id="again")
    await follower.say("again", message_id="again")
    again = await follower.recorder.until(
        "user.message", where=lambda f: "original_seq" in f["metadata"]
    )
    assert again["metadata"]["message_id"] == "again"
    for each in (witness, follower):
        await each.until_ended(3)
    assert_promises(site.database_url, witness.session_id, witness, follower)
    await leave(witness, follower)


async def test_a_follower_answers_a_question_and_stops_a_run(site: Site) -> None:
    _, _, witness, follower = await both_clients(site)
    await witness.say('hi [[tool transfer {"text": "a"}]]')
    question = await follower.recorder.until("agent.user_confirm")
    await follower.recorder.send(
        "user.response",
        witness.session_id,
        step_id=question["step_id"],
        content={"approved": True},
    )
    await follower.until_ended(1)
    await follower.say("wait [[hold model]]")
    await site.fake.wait_held("model")
    await follower.recorder.send("user.cancel", witness.session_id)
    for each in (witness, follower):
        await each.until_ended(2)
    assert follower.durable[-1]["event"] == "agent.interrupted"
    await follower.recorder.send("user.cancel", witness.session_id)
    await follower.recorder.until(
        "system.notice", where=lambda f: f["metadata"]["code"] == "not_running"
    )
    assert count(site.folder, "transfer") == 1
    assert_promises(site.database_url, witness.session_id, witness, follower)
    await leave(witness, follower)


async def test_feedback_from_a_follower_is_kept_and_told_to_both(site: Site) -> None:
    _, _, witness, follower = await both_clients(site)
    await witness.say("hi", message_id="m")
    await follower.until_ended(1)

    async def rate(score: float | None, comment: str | None, message_id: str = "m") -> None:
        await follower.recorder.send(
            "user.feedback",
            witness.session_id,
            content=comment,
            metadata={"message_id": message_id, "score": score},
        )

    for score, comment in ((-1, "nonsense"), (None, None), (1, None)):
        await rate(score, comment)
        for each in (witness, follower):
            frame = await each.recorder.until("user.feedback")
            assert (frame["metadata"]["score"], frame["content"]) == (score, comment)
    await rate(1, None)
    again = await follower.recorder.until("user.feedback")
    assert again["metadata"]["original_seq"] == frame["seq"]
    await rate(1, None, "other")
    refused = await follower.recorder.error("unknown_message")
    assert refused["metadata"]["message_id"] == "other"
    assert site.query("SELECT score FROM traces_feedback") == [(1.0,)]
    assert_promises(site.database_url, witness.session_id, witness, follower)
    await leave(witness, follower)


@pytest.mark.both_databases
async def test_clients_of_a_follower_stay_when_the_owner_is_killed(site: Site) -> None:
    owner, _, witness, follower = await both_clients(site)
    await follower.say("hello [[hold model]]")
    await site.fake.wait_held("model")
    owner.kill()
    await read_out(witness)
    site.fake.release("model")
    await follower.until_ended(1)
    await follower.say("and on")
    await follower.until_ended(2)
    assert_promises(site.database_url, witness.session_id, follower)
    await leave(witness, follower)


async def test_what_is_asked_of_a_sleeping_owner_runs_once_and_both_clients_stay(
    site: Site,
) -> None:
    owner, _, witness, follower = await both_clients(site)
    await asyncio.to_thread(freeze, owner.process.pid, site.database_url)
    await follower.say("are you there?")
    await follower.until_ended(1)
    owner.signal(signal.SIGCONT)
    await witness.until_ended(1)
    await witness.say("yes")
    for each in (witness, follower):
        await each.until_ended(2)
    assert_promises(site.database_url, witness.session_id, witness, follower)
    await leave(witness, follower)


async def test_an_owner_without_clients_leaves_its_session_to_the_follower(site: Site) -> None:
    owner, _, witness, follower = await both_clients(site)
    await witness.leave()
    owned = (
        "SELECT r.port FROM agents_server r JOIN agents_session s ON s.owner_id = r.id"
        f" WHERE s.id = '{witness.session_id}'"
    )
    await until(lambda: site.query(owned) not in ([], [(owner.port,)]))
    await follower.say("hello")
    await follower.until_ended(1)
    assert_promises(site.database_url, witness.session_id, follower)
    await leave(follower)


@pytest.mark.both_databases
async def test_a_session_that_rests_is_taken_and_its_former_owner_follows(site: Site) -> None:
    owner, other = await site.start(**SHORT), await site.start(**SHORT, MYAGENT_OWNER_IDLE_S="60")
    witness = await Witness.arrive(owner.url)
    await witness.say("hello")
    await witness.until_ended(1)
    rested = "UPDATE agents_session SET updated_at = '2026-01-01 00:00:00'"
    execute(site.database_url, f"{rested} WHERE id = '{witness.session_id}'")
    taker = await arrive_beside(other, witness)
    await taker.say("from the taker's")
    await witness.until_ended(2)
    await witness.say("from the former owner's")
    for each in (witness, taker):
        await each.until_ended(3)
    epochs = site.query(f"SELECT epoch FROM agents_session WHERE id = '{witness.session_id}'")
    assert epochs == [(2,)]
    assert_promises(site.database_url, witness.session_id, witness, taker)
    await leave(witness, taker)


async def test_with_redis_the_follower_sees_the_answer_grow_and_hears_how_it_fares(
    site: Site, redis_server: Redis
) -> None:
    redis = {"REDIS_URL": redis_server.url}
    _, other, witness, follower = await both_clients(site, **redis)
    await follower.say("hi [[hold model after=2]]")
    await site.fake.wait_held("model")
    piece = await follower.recorder.until("agent.partial_answer")
    assert piece["metadata"]["offset"] == 0
    # Who comes during the answer is shown what there is of it.
    late = await arrive_beside(other, witness)
    so_far = await late.recorder.until("agent.partial_answer")
    assert so_far["metadata"]["offset"] == 0
    assert so_far["content"].startswith(piece["content"])
    site.fake.release("model")
    for each in (witness, follower, late):
        await each.until_ended(1)
        run_id = each.durable[-1]["metadata"]["run_id"]
        answer = each.durable[-1]["content"]
        assert answer.startswith(text_of(each.seen, run_id))
    await follower.say('go [[tool die {"text": "a", "times": 1}]]')
    for each in (witness, follower, late):
        await each.until_ended(2)
        notices = [f["metadata"]["code"] for f in each.seen if f["event"] == "system.notice"]
        assert notices == ["continuing", "continued"]
    assert_promises(site.database_url, witness.session_id, witness, follower, late)
    await leave(witness, follower, late)
