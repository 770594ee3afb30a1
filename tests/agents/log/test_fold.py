"""The model's memory and a run's state are folds: alike from the log and in a living session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from hypothesis import given
from hypothesis import strategies as st

from agents.log import kinds, reading
from agents.log.commit import Batch
from agents.log.entry import RunRef
from agents.log.fold import Fact, History, RunState, decision_of, fold_history, usage_of
from agents.log.journal import Journal
from agents.log.writes import Write
from agents.models import Run
from myagent import exact_json, protocol
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Usage
from myagent.steps import ConfirmationAsked, Decision, Thought, ToolStarted
from tests.agents.logs import accepted, created, ended, new_ref, new_server, thought

LONG = 123456789012345678901
"""Above 64 bits; as a float it is another number."""

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def turn(name: str, size: int, *, uses_tool: bool = False) -> list[ChatMessage]:
    """A run's messages; its text has `size` tokens or so."""
    messages = [ChatMessage("user", f"{name} " + "x" * 4 * size)]
    if uses_tool:
        call = ToolCall(f"{name}-call", "work", "{}")
        messages.append(ChatMessage("assistant", "", (call,)))
        messages.append(ChatMessage("tool", "done", tool_call_id=call.id))
    return [*messages, ChatMessage("assistant", f"answer to {name}")]


TURNS = st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=12).map(
    lambda sizes: [
        turn(f"t{number}", size, uses_tool=uses_tool)
        for number, (size, uses_tool) in enumerate(sizes)
    ]
)


def remembered(turns: Sequence[Sequence[ChatMessage]], budget: int) -> History:
    history = History(budget)
    for number, messages in enumerate(turns):
        history.start_turn(str(number))
        for message in messages:
            history.add(str(number), message)
    return history


@given(TURNS, st.integers(1, 300))
def test_whole_oldest_turns_go_and_the_newest_stays(
    turns: list[list[ChatMessage]], budget: int
) -> None:
    kept = remembered(turns, budget).messages()
    suffixes = [[m for t in turns[start:] for m in t] for start in range(len(turns))]
    assert kept in suffixes
    assert kept[-len(turns[-1]) :] == turns[-1]
    if len(kept) > len(turns[-1]):
        assert sum(message.tokens for message in kept) <= budget
    longer = [s for s in suffixes if len(s) > len(kept)]
    assert all(sum(message.tokens for message in s) > budget for s in longer)


@given(TURNS, st.integers(1, 300))
def test_a_call_never_loses_its_result(turns: list[list[ChatMessage]], budget: int) -> None:
    kept = remembered(turns, budget).messages()
    calls = [call.id for message in kept for call in message.tool_calls]
    assert calls == [message.tool_call_id for message in kept if message.role == "tool"]


@given(TURNS, st.integers(1, 300), st.randoms(use_true_random=False))
def test_the_fold_of_a_log_in_which_runs_interleave_is_the_memory_without_it(
    turns: list[list[ChatMessage]], budget: int, dice: Any
) -> None:
    waiting = [(str(number), list(messages)) for number, messages in enumerate(turns)]
    entries = []
    while waiting:
        run_id, messages = dice.choice(waiting)
        entries.append((run_id, messages.pop(0)))
        waiting = [(id_, left) for id_, left in waiting if left]
    folded = fold_history(entries, map(str, range(len(turns))), budget)
    assert folded.messages() == remembered(turns, budget).messages()


STEPS = st.lists(st.integers(1, 5).flatmap(lambda n: st.permutations(range(n))), max_size=4)
"""Of each step, in which order the results of its calls came."""


def steps_of(orders: Sequence[Sequence[int]]) -> tuple[list[ChatMessage], list[ChatMessage]]:
    """A turn as it was logged, and as the model should see it."""
    logged, due = [ChatMessage("user", "go")], [ChatMessage("user", "go")]
    for number, order in enumerate(orders):
        calls = tuple(ToolCall(f"{number}-{place}", "work", "{}") for place in range(len(order)))
        wish = ChatMessage("assistant", "", calls)
        results = [ChatMessage("tool", call.id, tool_call_id=call.id) for call in calls]
        logged += [wish, *(results[place] for place in order)]
        due += [wish, *results]
    return logged, due


@given(STEPS)
def test_results_are_in_the_order_of_the_calls_whichever_came_first(orders: Any) -> None:
    logged, due = steps_of(orders)
    assert remembered([logged, turn("next", 1)], 10_000).messages() == [*due, *turn("next", 1)]
    entries = [("0", message) for message in logged]
    assert fold_history(entries, ["0"], 10_000).messages() == due


@given(STEPS, st.data())
def test_who_read_the_memory_at_any_moment_has_it_whole_by_what_is_new(
    orders: Any, data: Any
) -> None:
    logged, due = steps_of(orders)
    history = History(10_000)
    history.start_turn("0")
    copy, known = [], (0, 0)
    for message in logged:
        history.add("0", message)
        if data.draw(st.booleans()):
            at = known[1] if known[0] == history.generation else history.first
            copy[at:] = history.messages(at)
            known = history.generation, history.end
            assert copy == history.messages()
    assert history.messages() == due


@given(STEPS, st.data())
def test_results_that_are_taken_back_leave_the_others_in_order(orders: Any, data: Any) -> None:
    logged, due = steps_of(orders)
    history = remembered([logged], 10_000)
    newest = len(orders[-1]) if orders else 0
    gone = logged[len(logged) - data.draw(st.integers(0, newest)) :]
    history.take_back(gone)
    assert history.messages() == [message for message in due if message not in gone]
    for message in gone:
        history.add("0", message)
    assert history.messages() == due


def test_what_nobody_has_read_costs_no_second_reading() -> None:
    logged, _ = steps_of([[1, 0]])
    history = History(10_000)
    history.start_turn("0")
    history.add("0", logged[0])
    history.messages()
    seen = history.generation
    for message in logged[1:]:
        history.add("0", message)
    assert history.generation == seen


def test_a_turn_taken_back_leaves_no_trace() -> None:
    history = remembered([turn("one", 3), turn("two", 3)], 1000)
    history.drop_turn("0")
    assert len(history.messages()) == 4, "only the newest can be taken back"
    history.drop_turn("1")
    assert history.messages() == turn("one", 3)


def test_a_message_of_another_run_is_no_part_of_the_memory() -> None:
    history = remembered([turn("one", 3)], 1000)
    history.add("another", ChatMessage("assistant", "late"))
    assert history.messages() == turn("one", 3)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("budget", [40, 400, 100_000])
async def test_the_memory_read_from_the_database_is_the_one_kept_while_living(budget: int) -> None:
    journal = Journal()
    journal.start()
    write = created(await sync_to_async(new_server)())
    await journal.write(write)
    history = History(budget)
    refs = [new_ref() for _ in range(70)]
    for ordinal, ref in enumerate(refs, 1):
        await say_and_answer(journal, write.session_id, ref, ordinal, history)
    await journal.stop()
    opened = await sync_to_async(reading.open_session)(write.session_id, budget)
    assert opened.history.messages() == history.messages()
    assert opened.last_ordinal == len(refs)
    assert opened.unfinished == []


async def say_and_answer(
    journal: Journal, session_id: str, ref: RunRef, ordinal: int, history: History
) -> None:
    history.start_turn(ref.run_id)
    for write in (accepted(session_id, 1, ref, ordinal), ended(session_id, 1, ref)):
        await journal.write(write)
        for entry in write.entries:
            if entry.message is not None:
                history.add(ref.run_id, entry.message)


# Where a run stands after each of its entries.

CALLS = (ToolCall("1", "pay", '{"sum": 1}'), ToolCall("2", "look", "{}"))


def fact(
    event: str,
    step_id: str = "",
    content: Any = None,
    message: ChatMessage | None = None,
    **metadata: Any,
) -> Fact:
    return Fact(event, step_id, NOW, content, metadata, message)


STORY = [
    fact("user.message", message=ChatMessage("user", "go")),
    fact(
        "agent.thinking",
        message=ChatMessage("assistant", "", CALLS),
        step=1,
        usage={"prompt_tokens": 5, "completion_tokens": 7},
    ),
    fact("agent.user_confirm", "1", tool="pay", args={"sum": 1}, timeout_s=60),
    fact("agent.tool_call", "2", tool="look", args={}),
    fact("user.response", "1", {"approved": True, "args": {"sum": 2}}),
    fact("agent.tool_result", "2", "seen", tool="look", status="success"),
    fact("agent.tool_call", "1", tool="pay", args={"sum": 2}),
    fact("agent.tool_result", "1", "paid", tool="pay", status="success"),
]


def after(count: int) -> RunState:
    state = RunState()
    for each in STORY[:count]:
        state.apply(each)
    return state


@pytest.mark.parametrize(
    ("count", "step", "open_calls", "waiting"),
    [
        (0, 0, [], []),
        (1, 0, [], []),
        (2, 1, ["1", "2"], []),
        (3, 1, ["1", "2"], ["1"]),
        (4, 1, ["1", "2"], ["1"]),
        (5, 1, ["1", "2"], []),
        (6, 1, ["1"], []),
        (7, 1, ["1"], []),
        (8, 1, [], []),
    ],
)
def test_a_run_cut_off_anywhere_knows_what_is_open(
    count: int, step: int, open_calls: list[str], waiting: list[str]
) -> None:
    state = after(count)
    resume = state.resume()
    assert resume.step == step
    assert [call.call.id for call in resume.open_calls] == open_calls
    assert [call.call.id for call in state.waiting] == waiting
    assert resume.usage == (Usage(5, 7) if step else Usage())


def test_an_open_call_knows_what_was_asked_decided_and_started() -> None:
    (asked, _), (decided, looked) = (after(n).resume().open_calls for n in (3, 5))
    assert (asked.has_asked, asked.decision, asked.has_started) == (True, None, False)
    assert decided.decision == Decision(True, {"sum": 2})
    assert (looked.has_started, looked.started_args) == (True, {})
    (started,) = after(7).resume().open_calls
    assert (started.has_started, started.started_args) == (True, {"sum": 2})


def test_a_question_keeps_its_original_deadline() -> None:
    assert after(3).calls["1"].deadline == NOW + timedelta(seconds=60)


def test_the_next_thought_closes_the_step_before() -> None:
    state = after(8)
    state.apply(fact("agent.thinking", step=2, usage={}))
    assert (state.step, state.calls, state.usage) == (2, {}, Usage(5, 7))


def test_a_run_that_goes_on_knows_what_was_cached_and_what_was_reasoning() -> None:
    state = after(8)
    used = Usage(10, 9, cached_tokens=6, reasoning_tokens=4)
    state.apply(fact("agent.thinking", step=2, usage=used.to_dict()))
    assert state.resume().usage == Usage(15, 16, cached_tokens=6, reasoning_tokens=4)


def test_a_cancel_is_remembered() -> None:
    state = after(2)
    state.apply(fact("user.cancel"))
    assert state.is_cancelled


def test_what_a_log_left_out_counts_as_nothing() -> None:
    assert usage_of({}) == Usage()
    assert decision_of({"approved": False}) == Decision(False)


@pytest.mark.django_db(transaction=True)
async def test_an_unfinished_run_is_read_back_where_it_stood() -> None:
    journal = Journal()
    journal.start()
    write = created(await sync_to_async(new_server)())
    session_id, ref, queued = write.session_id, new_ref(), new_ref()
    steps = [thought(ref), thought(ref, 2)]
    for each in (
        write,
        accepted(session_id, 1, ref),
        accepted(session_id, 1, queued, None),
        type(write)(session_id, 1, steps),
    ):
        await journal.write(each)
    await journal.stop()
    opened = await sync_to_async(reading.open_session)(session_id, 1000)
    first, second = sorted(opened.unfinished, key=lambda run: run.ordinal is None)
    assert (first.run_id, first.state.step, first.last_seq) == (ref.run_id, 2, 5)
    assert (second.run_id, second.state, second.last_seq) == (queued.run_id, RunState(), 3)
    assert opened.message_ids == {ref.message_id: 2, queued.message_id: 3}
    assert await Run.objects.acount() >= 2


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_an_interrupted_call_keeps_every_digit_of_its_arguments() -> None:
    write, ref = created(new_server()), new_ref()
    call = ToolCall("call", "work", orjson.dumps({"text": "a"}).decode())
    thinking = Thought(1, "", ChatMessage("assistant", "", (call,)), Usage(1, 1), 5)
    said = f'{{"approved": true, "args": {{"number": {LONG}}}}}'
    response = protocol.parse(
        f'{{"event": "user.response", "session_id": "s", "step_id": "call", "content": {said}}}'
    )
    assert isinstance(response, protocol.Response)
    args = response.content.args or {}
    written = [
        kinds.thinking(thinking, ref),
        kinds.user_confirm(ConfirmationAsked("call", "work", {}, 60), ref, "en", 60),
        kinds.user_response(response.content.model_dump(exclude_none=True), "call", ref),
        kinds.tool_call(ToolStarted("call", "work", args), ref, "en"),
    ]
    Batch([write, accepted(write.session_id, 1, ref), Write(write.session_id, 1, written)]).commit()
    (run,) = reading.open_session(write.session_id, 1000).unfinished
    (call_state,) = run.state.open_calls
    assert call_state.started_args == {"number": LONG}
    assert call_state.decision == Decision(approved=True, args={"number": LONG})


def test_what_the_log_holds_can_be_read_again() -> None:
    odd = {"none": float("nan"), "endless": [float("-inf")], "long": LONG, "half": "\ud800"}
    assert exact_json.loads(exact_json.encode(odd).decode()) == {
        "none": None,
        "endless": [None],
        "long": LONG,
        "half": "?",
    }


def test_who_has_a_part_of_the_memory_knows_what_is_new_by_the_numbers() -> None:
    history = History(max_tokens=40)
    history.start_turn("one")
    history.add("one", ChatMessage("user", "x" * 60))
    seen, end = history.generation, history.end
    history.start_turn("two")
    history.add("two", ChatMessage("user", "y" * 100))
    assert (history.first, history.end, history.generation) == (1, 2, seen), "the first turn went"
    assert [message.content[0] for message in history.messages(end)] == ["y"]
    history.drop_turn("two")
    assert history.generation != seen, "another message may get the same number"


def test_a_memory_that_was_cleared_holds_nothing_and_goes_on_behind_its_numbers() -> None:
    history = History(max_tokens=1_000)
    history.start_turn("one")
    history.add("one", ChatMessage("user", "x" * 60))
    end = history.end
    history.clear()
    assert (history.first, history.end, history.tokens, history.messages()) == (end, end, 0, [])
    history.add("one", ChatMessage("assistant", "late"))
    assert history.messages() == [], "its turn is gone"
    history.start_turn("two")
    history.add("two", ChatMessage("user", "y"))
    assert [message.content for message in history.messages(end)] == ["y"]
