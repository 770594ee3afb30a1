"""SIGKILL to a runner at every stage of a run: it goes on from the log, and ends exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Literal

import pytest

from tests.crash.conftest import Site
from tests.crash.witness import (
    Witness,
    assert_promises,
    assert_valid_contexts,
    count,
    read_log,
    read_out,
    until,
    until_logged_ends,
)
from tests.recording import TERMINAL, Frame
from tests.runners import Runner

pytestmark = pytest.mark.both_databases(when_long=True)

Side = Literal["before", "after"]


def ends(witness: Witness) -> list[Frame]:
    return [frame for frame in witness.durable if frame["event"] in TERMINAL]


def answers(witness: Witness) -> list[str]:
    assert {frame["event"] for frame in ends(witness)} == {"agent.final_answer"}
    return [frame["content"] for frame in ends(witness)]


def results(witness: Witness) -> list[str]:
    return [
        frame["metadata"]["status"]
        for frame in witness.durable
        if frame["event"] == "agent.tool_result"
    ]


async def kill(runner: Runner, *witnesses: Witness) -> None:
    """SIGKILL; then the clients read what was on its way to them."""
    runner.kill()
    for witness in witnesses:
        await read_out(witness)


async def finish(site: Site, witness: Witness, *, alone: bool = False) -> None:
    """A new runner, and the client comes back."""
    await come_back(site, await site.start(), {witness: alone})


async def come_back(
    site: Site, runner: Runner, clients: Mapping[Witness, bool], messages: int = 1
) -> None:
    """Clients are back at once or, those that are True, only when all is over; then the verdict."""
    for witness, alone in clients.items():
        if not alone:
            await witness.reattach(runner.url)
    for witness, alone in clients.items():
        if alone:
            await until_logged_ends(site.database_url, witness.session_id, messages)
            await witness.reattach(runner.url)
        await witness.until_ended(messages)
        await judge(site, runner, witness)


async def judge(site: Site, runner: Runner, witness: Witness) -> None:
    newcomer = Witness(witness.recorder, witness.session_id)
    newcomer.recorder = await type(witness.recorder).open(runner.url)
    await newcomer.recorder.reconnect(witness.session_id)
    assert_promises(site.database_url, witness.session_id, witness, newcomer)
    assert_valid_contexts(site.fake.requests)
    await newcomer.leave()
    await witness.leave()


async def die_at(site: Site, side: Side, event: str, text: str) -> Witness:
    """A conversation whose runner was killed before or after the commit of an event."""
    runner, reached = await site.start_with_barrier(side, event)
    witness = await Witness.arrive(runner.url)
    await witness.say(text, message_id="first")
    await until(reached.exists)
    await kill(runner, witness)
    return witness


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.both_databases
async def test_a_message_sent_again_after_its_echo_got_lost_runs_once(
    site: Site, side: Side
) -> None:
    witness = await die_at(site, side, "user.message", "hello")
    assert not any(frame["event"] == "user.message" for frame in witness.seen)
    runner = await site.start()
    await witness.reattach(runner.url)
    await witness.say("hello", message_id="first")
    await witness.until_ended(1)
    assert answers(witness) == ["Answer to: hello"]
    assert len(site.fake.requests) == 1
    await judge(site, runner, witness)


async def test_a_message_in_the_log_is_answered_though_nobody_ever_comes_back(site: Site) -> None:
    witness = await die_at(site, "after", "user.message", "hello")
    await finish(site, witness, alone=True)
    assert answers(witness) == ["Answer to: hello"]


async def test_model_calls_that_were_cut_off_are_asked_again(site: Site) -> None:
    """Before the first word and after some; clients come back at once, or when all is over."""
    runner = await site.start()
    clients: dict[Witness, bool] = {}
    texts: list[str] = []
    for after, alone in product((0, 3), (False, True)):
        name = f"{after}-{alone}"
        witness = await Witness.arrive(runner.url)
        await witness.say(f"hello {name} [[hold {name} after={after}]]", message_id="first")
        await site.fake.wait_held(name)
        if after:
            await witness.recorder.until("agent.partial_answer")
        clients[witness] = alone
        texts.append(f"hello {name}")
    await kill(runner, *clients)
    for text in texts:
        site.fake.release(text.removeprefix("hello "))
    await come_back(site, await site.start(), clients)
    asked = [each["messages"][-1]["content"] for each in site.fake.requests]
    for witness, text in zip(clients, texts, strict=True):
        assert answers(witness) == [f"Answer to: {text}"]
        assert sum(each.startswith(text) for each in asked) == 2


@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_thought_in_the_log_is_not_thought_again(site: Site, side: Side) -> None:
    text = 'go [[tool look {"text": "a"}]]'
    witness = await die_at(site, side, "agent.thinking", text)
    await finish(site, witness)
    assert answers(witness) == ["Answer to: go (results: look a)"]
    assert count(site.folder, "look") == 1
    assert len(site.fake.requests) == (2 if side == "after" else 3)


@pytest.mark.parametrize(
    ("side", "event", "tool", "status", "effects"),
    [
        pytest.param("before", "agent.tool_call", "charge", "success", 1, marks=pytest.mark.long),
        ("after", "agent.tool_call", "charge", "unknown", 0),
        ("before", "agent.tool_result", "charge", "unknown", 1),
        ("after", "agent.tool_result", "charge", "success", 1),
        pytest.param("before", "agent.tool_call", "look", "success", 1, marks=pytest.mark.long),
        ("after", "agent.tool_call", "look", "success", 1),
        ("before", "agent.tool_result", "look", "success", 2),
        pytest.param("after", "agent.tool_result", "look", "success", 1, marks=pytest.mark.long),
    ],
)
async def test_only_a_tool_that_may_is_run_again(
    site: Site, side: Side, event: str, tool: str, status: str, effects: int
) -> None:
    witness = await die_at(site, side, event, f'go [[tool {tool} {{"text": "a"}}]]')
    await finish(site, witness, alone=effects == 1)
    assert results(witness) == [status]
    assert count(site.folder, tool) == effects
    assert len(ends(witness)) == 1
    told = site.fake.requests[-1]["messages"][-1]
    assert told["role"] == "tool"
    assert ("not known" in told["content"]) == (status == "unknown")


async def test_a_tool_killed_at_work_is_not_run_again_and_the_model_is_told(site: Site) -> None:
    runner = await site.start()
    witness = await Witness.arrive(runner.url)
    await witness.say('go [[tool charge {"text": "a", "gate": "never"}]]')
    await until(lambda: count(site.folder, "charge"))
    await kill(runner, witness)
    await finish(site, witness, alone=True)
    assert results(witness) == ["unknown"]
    assert count(site.folder, "charge") == 1
    assert "not known" in site.fake.requests[-1]["messages"][-1]["content"]


PAID = '[[tool charge {"text": "a"}]]'
PAYS = '[[tool charge {"text": "b", "gate": "gate"}]]'
LOOKS = '[[tool look {"text": "c", "gate": "gate"}]]'


@pytest.mark.parametrize(
    "calls", [[PAID, PAYS, LOOKS], pytest.param([LOOKS, PAYS, PAID], marks=pytest.mark.long)]
)
async def test_of_tools_at_once_the_finished_one_is_not_repeated(
    site: Site, calls: list[str]
) -> None:
    runner = await site.start()
    witness = await Witness.arrive(runner.url)
    await witness.say(f"go {' '.join(calls)}")
    await witness.recorder.until("agent.tool_result")
    await until(lambda: count(site.folder, "charge") == 2 and count(site.folder, "look") == 1)
    await kill(runner, witness)
    (site.folder / "gate").touch()
    await finish(site, witness)
    assert results(witness) == ["success", "unknown", "success"]
    assert (count(site.folder, "charge"), count(site.folder, "look")) == (2, 2)
    told = [m["content"] for m in site.fake.requests[-1]["messages"] if m["role"] == "tool"]
    due = {PAID: "charge a", PAYS: "not known", LOOKS: "look c"}
    assert all(due[call] in said for call, said in zip(calls, told, strict=True)), told


async def asked(site: Site, runner: Runner) -> tuple[Witness, str]:
    witness = await Witness.arrive(runner.url)
    await witness.say('go [[tool transfer {"text": "a"}]]')
    question = await witness.recorder.until("agent.user_confirm")
    return witness, question["step_id"]


async def test_a_question_outlives_its_runner(site: Site) -> None:
    runner = await site.start()
    witness, step_id = await asked(site, runner)
    await kill(runner, witness)
    runner = await site.start()
    await witness.reattach(runner.url)
    resumed = next(f for f in witness.recorder.frames if f["event"] == "agent.session_resumed")
    assert resumed["metadata"]["status"] == "waiting"
    assert count(site.folder, "transfer") == 0
    await witness.recorder.send(
        "user.response", witness.session_id, step_id=step_id, content={"approved": True}
    )
    await witness.until_ended(1)
    assert [f["event"] for f in witness.durable].count("agent.user_confirm") == 1
    assert count(site.folder, "transfer") == 1
    assert results(witness) == ["success"]
    await judge(site, runner, witness)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.both_databases
async def test_a_response_is_lost_or_kept_but_never_half(site: Site, side: Side) -> None:
    runner, reached = await site.start_with_barrier(side, "user.response")
    witness, step_id = await asked(site, runner)
    response = {"step_id": step_id, "content": {"approved": True}}
    await witness.recorder.send("user.response", witness.session_id, **response)
    await until(reached.exists)
    await kill(runner, witness)
    runner = await site.start()
    await witness.reattach(runner.url)
    if side == "before":
        await witness.recorder.send("user.response", witness.session_id, **response)
    await witness.until_ended(1)
    assert [f["event"] for f in witness.durable].count("user.response") == 1
    assert count(site.folder, "transfer") == 1
    await judge(site, runner, witness)


@pytest.mark.parametrize("alone", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.both_databases
async def test_an_answer_is_given_once_wherever_its_commit_was_cut_off(
    site: Site, side: Side, alone: bool
) -> None:
    witness = await die_at(site, side, "agent.final_answer", "hello")
    assert not ends(witness)
    await finish(site, witness, alone=alone)
    assert answers(witness) == ["Answer to: hello"]
    assert len(site.fake.requests) == (2 if side == "before" else 1)


async def test_messages_queued_behind_are_answered_in_their_order(site: Site) -> None:
    runner = await site.start()
    clients = {await Witness.arrive(runner.url): alone for alone in (False, True)}
    for witness, alone in clients.items():
        for text in (f"one [[hold {alone}]]", "two", "three"):
            await witness.say(text)
            await witness.recorder.until("user.message")
        await site.fake.wait_held(str(alone))
    await kill(runner, *clients)
    for alone in clients.values():
        site.fake.release(str(alone))
    await come_back(site, await site.start(), clients, 3)
    for witness in clients:
        assert answers(witness) == ["Answer to: one", "Answer to: two", "Answer to: three"]
    last = [each["messages"] for each in site.fake.requests if len(each["messages"]) == 5]
    assert len(last) == 2
    for messages in last:
        roles = [message["role"] for message in messages]
        assert roles == ["user", "assistant", "user", "assistant", "user"]


async def test_the_memory_after_a_kill_is_the_memory_without_one(site: Site) -> None:
    runner = await site.start()
    witness = await Witness.arrive(runner.url)
    for text in ("first", 'second [[tool look {"text": "a"}]]'):
        await witness.say(text)
        await witness.recorder.until(*TERMINAL)
    before = site.fake.requests[-1]["messages"]
    await kill(runner, witness)
    runner = await site.start()
    await witness.reattach(runner.url)
    await witness.say("third")
    await witness.until_ended(3)
    after = site.fake.requests[-1]["messages"]
    assert after[: len(before)] == before
    assert after[len(before) :] == [
        {"role": "assistant", "content": answers(witness)[1]},
        {"role": "user", "content": "third"},
    ]
    await judge(site, runner, witness)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.both_databases
async def test_a_cancel_that_was_seen_holds(site: Site, side: Side) -> None:
    runner, reached = await site.start_with_barrier(side, "agent.interrupted")
    witness = await Witness.arrive(runner.url)
    await witness.say("hello [[hold model]]")
    await site.fake.wait_held("model")
    await witness.recorder.send("user.cancel", witness.session_id)
    await until(reached.exists)
    await kill(runner, witness)
    was_seen = any(frame["event"] == "user.cancel" for frame in witness.durable)
    was_logged = any(
        entry["event"] == "user.cancel" for entry in read_log(site.database_url, witness.session_id)
    )
    site.fake.release("model")
    await finish(site, witness)
    # The cancel and the run's end may share a commit: held before it, nobody saw the cancel.
    assert was_logged or (side == "before" and not was_seen)
    end = "agent.interrupted" if was_logged else "agent.final_answer"
    assert [frame["event"] for frame in ends(witness)] == [end]


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.both_databases
async def test_feedback_that_was_seen_is_kept_on_the_trace_as_well(site: Site, side: Side) -> None:
    runner, reached = await site.start_with_barrier(side, "user.feedback")
    witness = await Witness.arrive(runner.url)
    await witness.say("hi", message_id="m")
    await witness.until_ended(1)
    given = {"content": "too long", "metadata": {"message_id": "m", "score": -1}}
    await witness.recorder.send("user.feedback", witness.session_id, **given)
    await until(reached.exists)
    await kill(runner, witness)
    rows = "SELECT score, comment FROM traces_feedback"
    assert site.query(rows) == ([(-1.0, "too long")] if side == "after" else [])
    runner = await site.start()
    await witness.reattach(runner.url)
    await witness.recorder.send("user.feedback", witness.session_id, **given)
    await witness.recorder.until("user.feedback")
    assert site.query(rows) == [(-1.0, "too long")]
    logged = [each for each in witness.durable if each["event"] == "user.feedback"]
    assert [each["content"] for each in logged] == ["too long"]
    await judge(site, runner, witness)
