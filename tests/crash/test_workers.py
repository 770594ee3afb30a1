"""Workers that die, at any moment and of anything: no client loses its connection or a turn."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import pytest

from tests.crash.conftest import Site
from tests.crash.witness import (
    Witness,
    assert_promises,
    assert_valid_contexts,
    count,
    until,
)
from tests.crash.workers import deaths, kill_worker, until_gone, worker_of
from tests.recording import TERMINAL, Frame, text_of
from tests.runners import Runner


async def each(work: Callable[[Witness], Awaitable[Any]], witnesses: list[Witness]) -> None:
    """For all clients at once, each on its own socket."""
    async with asyncio.TaskGroup() as tasks:
        for witness in witnesses:
            tasks.create_task(work(witness))  # type: ignore[arg-type]


async def crowd(runner: Runner, *texts: str) -> list[Witness]:
    """A client for each text, which has said it and seen it accepted."""
    witnesses = list(await asyncio.gather(*(Witness.arrive(runner.url) for _ in texts)))
    for witness, text in zip(witnesses, texts, strict=True):
        await witness.say(text)
    await each(lambda witness: witness.recorder.until("user.message"), witnesses)
    return witnesses


def end_of(witness: Witness) -> Frame:
    (end,) = [frame for frame in witness.durable if frame["event"] in TERMINAL]
    return end


def notices(witness: Witness) -> list[str]:
    """What the client was told in passing of how its run fares."""
    return [
        frame["metadata"]["code"] for frame in witness.seen if frame["event"] == "system.notice"
    ]


def results(witness: Witness) -> list[str]:
    return [
        frame["metadata"]["status"]
        for frame in witness.durable
        if frame["event"] == "agent.tool_result"
    ]


def assert_answered(site: Site, witness: Witness, answer: str) -> None:
    """The right answer, over the one socket that the client ever had."""
    end = end_of(witness)
    assert (end["event"], end["content"]) == ("agent.final_answer", answer)
    assert_promises(site.database_url, witness.session_id, witness)


async def leave(*witnesses: Witness) -> None:
    await asyncio.gather(*(witness.leave() for witness in witnesses))


@pytest.mark.both_databases
async def test_fifty_turns_outlive_their_worker_and_no_client_notices_more_than_a_pause(
    site: Site,
) -> None:
    runner = await site.start()
    streaming = [f"text {i} [[hold model after=3]]" for i in range(20)]
    thought = [
        f'look {i} [[tool look {{"text": "{i}"}}]] [[hold model step=2 after=2]]' for i in range(8)
    ]
    charging = [f'pay {i} [[tool charge {{"text": "{i}", "gate": "gate"}}]]' for i in range(8)]
    looking = [f'see {i} [[tool look {{"text": "s{i}", "gate": "gate"}}]]' for i in range(8)]
    asking = [f'ask {i} [[tool transfer {{"text": "{i}"}}]]' for i in range(6)]
    witnesses = await crowd(runner, *streaming, *thought, *charging, *looking, *asking)
    streamed, thinking, paid, seen = (
        witnesses[:20], witnesses[20:28], witnesses[28:36], witnesses[36:44]
    )  # fmt: skip
    waiting = witnesses[44:]
    await site.fake.wait_held("model", 28)
    await until(lambda: (count(site.folder, "charge"), count(site.folder, "look")) == (8, 16))
    await each(lambda witness: witness.recorder.until("agent.partial_answer"), streamed)
    await each(lambda witness: witness.recorder.until("agent.user_confirm"), waiting)

    dead = await kill_worker(runner)

    await each(lambda witness: witness.recorder.until("system.notice"), witnesses)
    (site.folder / "gate").touch()
    site.fake.release("model")
    for witness in waiting:
        (question,) = [f for f in witness.durable if f["event"] == "agent.user_confirm"]
        await witness.recorder.send(
            "user.response",
            witness.session_id,
            step_id=question["step_id"],
            content={"approved": True},
        )
    await each(lambda witness: witness.until_ended(1), witnesses)

    for i, witness in enumerate(streamed):
        assert_answered(site, witness, f"Answer to: text {i}")
        end = end_of(witness)
        assert text_of(witness.seen, end["metadata"]["run_id"]) == end["content"]
    for i, witness in enumerate(thinking):
        assert_answered(site, witness, f"Answer to: look {i} (results: look {i})")
    for witness in paid:
        assert results(witness) == ["unknown"]
        assert_answered(site, witness, end_of(witness)["content"])
    for i, witness in enumerate(seen):
        assert_answered(site, witness, f"Answer to: see {i} (results: look s{i})")
    for i, witness in enumerate(waiting):
        assert_answered(site, witness, f"Answer to: ask {i} (results: transfer {i})")
    assert [notices(witness) for witness in witnesses] == [["continuing", "continued"]] * 50
    effects = [count(site.folder, name) for name in ("charge", "look", "transfer")]
    assert effects == [8, 8 + 2 * 8, 6]
    assert_valid_contexts(site.fake.requests)
    assert (deaths(runner), runner.process.poll()) == (1, None)
    assert await worker_of(runner) != dead
    await leave(*witnesses)


async def test_a_run_is_cancelled_in_time_although_its_worker_stands_still(site: Site) -> None:
    runner = await site.start(MYAGENT_CANCEL_GRACE_S="0.3")
    cancelled, other = await crowd(runner, "one [[hold model after=2]]", "two [[hold model]]")
    await site.fake.wait_held("model", 2)
    worker = await worker_of(runner)
    os.kill(worker, signal.SIGSTOP)
    await cancelled.recorder.send("user.cancel", cancelled.session_id)
    await cancelled.until_ended(1)
    assert end_of(cancelled)["event"] == "agent.interrupted"
    assert psutil.Process(worker).status() == psutil.STATUS_STOPPED
    os.kill(worker, signal.SIGCONT)
    site.fake.release("model")
    await other.until_ended(1)
    assert_answered(site, other, "Answer to: two")
    # What the worker said of the cancelled run, once it went on, is in nobody's record.
    await cancelled.recorder.fence(cancelled.session_id)
    assert_promises(site.database_url, cancelled.session_id, cancelled)
    assert notices(other) == []
    await leave(cancelled, other)


async def test_a_worker_that_stands_still_too_long_is_replaced_and_its_runs_go_on(
    site: Site,
) -> None:
    runner = await site.start(MYAGENT_WORKER_STUCK_S="1.5")
    witnesses = await crowd(runner, *(f"turn {i} [[hold model after=2]]" for i in range(5)))
    await site.fake.wait_held("model", 5)
    worker = await worker_of(runner)
    os.kill(worker, signal.SIGSTOP)
    await each(lambda witness: witness.recorder.until("system.notice"), witnesses)
    site.fake.release("model")
    await each(lambda witness: witness.until_ended(1), witnesses)
    for i, witness in enumerate(witnesses):
        assert_answered(site, witness, f"Answer to: turn {i}")
        assert notices(witness) == ["continuing", "continued"]
    await until_gone(worker)
    assert any("worker_stuck" in line for line in runner.log)
    await leave(*witnesses)


@pytest.mark.parametrize("how", ["fault", pytest.param("exit", marks=pytest.mark.long), "memory"])
async def test_a_tool_that_takes_its_process_down_once_is_survived(site: Site, how: str) -> None:
    runner = await site.start()
    (bystander,) = await crowd(runner, "hello [[hold model after=2]]")
    await site.fake.wait_held("model")
    (culprit,) = await crowd(runner, f'go [[tool die {{"text": "a", "how": "{how}", "times": 1}}]]')
    await culprit.until_ended(1)
    site.fake.release("model")
    await bystander.until_ended(1)
    assert_answered(site, culprit, "Answer to: go (results: alive a)")
    assert_answered(site, bystander, "Answer to: hello")
    assert count(site.folder, "die") == 2
    assert (deaths(runner), runner.process.poll()) == (1, None)
    await leave(culprit, bystander)


async def test_a_run_that_always_kills_its_worker_is_found_out_among_twenty_others(
    site: Site,
) -> None:
    runner = await site.start()
    innocent = await crowd(runner, *(f"turn {i} [[hold model after=2]]" for i in range(20)))
    await site.fake.wait_held("model", 20)
    (poisonous,) = await crowd(runner, 'go [[tool die {"text": "a"}]]')
    # From the second death on any of them may be the one.
    await until(lambda: deaths(runner) >= 2)
    site.fake.release("model")
    await each(lambda witness: witness.until_ended(1), [*innocent, poisonous])
    for i, witness in enumerate(innocent):
        assert_answered(site, witness, f"Answer to: turn {i}")
    end = end_of(poisonous)
    assert (end["event"], end["metadata"]["code"]) == ("agent.error", "agent_error")
    assert_promises(site.database_url, poisonous.session_id, poisonous)
    (after,) = await crowd(runner, "and now?")
    await after.until_ended(1)
    assert_answered(site, after, "Answer to: and now?")
    assert (count(site.folder, "die"), deaths(runner)) == (3, 3)
    await leave(*innocent, poisonous, after)


@pytest.mark.long
async def test_a_run_whose_model_asks_for_the_deadly_tool_again_and_again_is_found_out(
    site: Site,
) -> None:
    runner = await site.start()
    (poisonous,) = await crowd(runner, 'go [[tool burn {"text": "a"} step=*]]')
    await poisonous.until_ended(1)
    end = end_of(poisonous)
    assert (end["event"], end["metadata"]["code"]) == ("agent.error", "agent_error")
    assert results(poisonous) == ["unknown"] * 3
    assert_promises(site.database_url, poisonous.session_id, poisonous)
    # The client is told about the end before the runner logs the third death.
    await until(lambda: deaths(runner) >= 3)
    assert (count(site.folder, "burn"), deaths(runner)) == (3, 3)
    await leave(poisonous)


async def test_a_worker_that_dies_while_nothing_runs_is_there_for_the_next_message(
    site: Site,
) -> None:
    runner = await site.start()
    witness = await Witness.arrive(runner.url)
    await kill_worker(runner)
    await witness.say("hello")
    await witness.until_ended(1)
    assert_answered(site, witness, "Answer to: hello")
    await leave(witness)


async def test_a_run_that_can_not_be_continued_ends_with_its_worker_and_promises_nothing(
    site: Site,
) -> None:
    runner = await site.start("bare_agent.py")
    witness = await Witness.arrive(runner.url)
    await witness.say("hello")
    await until(lambda: count(site.folder, "bare") == 1)
    await kill_worker(runner)
    await witness.until_ended(1)
    end = end_of(witness)
    assert (end["event"], end["metadata"]["code"]) == ("agent.error", "agent_error")
    assert end["metadata"]["retryable"]
    assert notices(witness) == []
    (site.folder / "gate").touch()
    await witness.say("once more")
    await witness.until_ended(2)
    assert witness.durable[-1]["content"] == "Done: once more"
    assert_promises(site.database_url, witness.session_id, witness)
    await leave(witness)


AGENT = "async def agent(text): return 'Yes.'"
BROKEN = "async def agent(text: return"


async def test_messages_wait_for_a_worker_in_vain_only_so_long_and_retries_find_a_mended_file(
    site: Site,
) -> None:
    file = site.folder / "fragile.py"
    # Its run may start again: the first may reach the dead worker before that is noticed.
    file.write_text(f"{AGENT}\nagent.idempotent = True\n")
    runner = await site.start(file, MYAGENT_WORKER_WAIT_S="1")
    witness = await Witness.arrive(runner.url)
    file.write_text(BROKEN)
    await until_gone(await kill_worker(runner))
    for _ in range(2):
        await witness.say("Are you there?")
    await witness.until_ended(2)
    for frame in witness.durable:
        if frame["event"] in TERMINAL:
            code, may_retry = frame["metadata"]["code"], frame["metadata"]["retryable"]
            assert (frame["event"], code, may_retry) == ("agent.error", "service_unavailable", True)
    assert "waiting" in notices(witness)
    file.write_text(AGENT)
    await worker_of(runner)
    while (end := await witness.recorder.ask(witness.session_id, "And now?"))["content"] != "Yes.":
        assert end["metadata"]["code"] == "service_unavailable"
    assert_promises(site.database_url, witness.session_id, witness)
    await leave(witness)


async def test_a_message_that_waits_is_answered_once_the_file_is_mended(site: Site) -> None:
    file = site.folder / "fragile.py"
    file.write_text(AGENT)
    runner = await site.start(file)
    witness = await Witness.arrive(runner.url)
    file.write_text(BROKEN)
    await kill_worker(runner)
    await asyncio.to_thread(runner.wait_for_log, "worker_not_started")
    await witness.say("Are you there?")
    await witness.recorder.until("system.notice")
    file.write_text(AGENT)
    await witness.until_ended(1)
    assert_answered(site, witness, "Yes.")
    assert notices(witness) == ["waiting", "continued"]
    await leave(witness)
