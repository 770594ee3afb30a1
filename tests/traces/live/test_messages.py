"""Messages of a trace: the same whenever they are made, and each after what it follows from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.trace_client import assert_each_once
from tests.traces.recorded import Story
from traces.live.looking import all_messages, present, present_or_bare
from traces.live.messages import Message
from traces.models import Trace

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]


def now_told(told: frozenset[str] = frozenset()) -> list[Message]:
    trace_id = Trace.objects.get().pk
    return all_messages([present([trace_id])[trace_id]], {trace_id: told})[trace_id]


def moments() -> Iterator[list[Message]]:
    """What there is to tell after each write of a run."""
    story = Story()
    ref = story.ask("What is new?")
    yield now_told()
    story.think(ref, "search")
    yield now_told()
    story.work(ref, "search", "error", "It is down.")
    yield now_told()
    story.answer(ref, "Nothing.")
    yield now_told()


def test_what_was_told_at_each_moment_is_the_whole_of_it_once_in_order() -> None:
    told: dict[str, Message] = {}
    for messages in moments():
        told |= {each.message_id: each for each in messages if each.message_id not in told}
    frames = [orjson.loads(m.render("s", "en", shows_content=True)) for m in told.values()]
    assert_each_once(frames)
    assert list(told) == [message.message_id for message in now_told()]
    ended = ("trace_started", "think_completed", "tool_completed", "trace_completed")
    for message in now_told():
        if message.event_type in ended:
            assert told[message.message_id] == message


def test_who_has_a_part_is_told_the_rest_with_all_that_was_said() -> None:
    whole: list[Message] = []
    for messages in moments():
        whole = messages
    for have in range(len(whole)):
        told = frozenset(message.message_id for message in whole[:have])
        rest = [m for m in now_told(told) if m.message_id not in told]
        assert rest == whole[have:]


def test_who_may_not_see_the_conversation_sees_nothing_of_it() -> None:
    story = Story()
    ref = story.ask("a secret question")
    story.think(ref, "search")
    story.work(ref, "search", "error", "a secret failure")
    story.answer(ref, "a secret answer")
    hidden = [message.render("s", "en", shows_content=False) for message in now_told()]
    assert not any("secret" in text or "because" in text for text in hidden)
    shown = [message.render("s", "en", shows_content=True) for message in now_told()]
    assert sum("secret" in text for text in shown) >= 3
    for one, other in zip(hidden, shown, strict=True):
        assert orjson.loads(one)["data"].keys() == orjson.loads(other)["data"].keys()


@pytest.mark.parametrize("setting", ["off", "redacted"])
def test_what_the_operator_hides_is_hidden_from_everybody(settings: Any, setting: str) -> None:
    settings.MYAGENT_TRACE_CONTENT = setting
    story = Story()
    ref = story.ask("a secret question")
    story.answer(ref, "a secret answer", step=1)
    assert "secret" not in "".join(m.render("s", "en", shows_content=True) for m in now_told())


def test_a_run_that_fails_has_one_error_and_one_end() -> None:
    story = Story()
    story.fail(story.ask("a"), "The model is away.")
    types = [message.event_type for message in now_told()]
    assert types.count("run_error") == types.count("trace_completed") == 1
    error = next(message for message in now_told() if message.event_type == "run_error")
    assert (error.data["error"], error.data["error_type"]) == ("The model is away.", "model_error")


def told_of_a_tool(told: list[Message]) -> list[tuple[str, str]]:
    """What is said of tools, by the state of the agent or the status of the span."""
    return [
        (each.event_type, each.data.get("agent_state") or each.data["status"])
        for each in told
        if each.data.get("agent_state") in ("acting", "waiting")
        or each.data.get("run_type") == "tool"
    ]


def test_a_tool_that_was_cancelled_before_anybody_agreed_was_never_at_work() -> None:
    story = Story()
    ref = story.ask("Delete it.")
    story.think(ref, "delete")
    story.wait(ref, "delete")
    waiting = [("status_update", "waiting"), ("span_started", "waiting")]
    assert told_of_a_tool(now_told()) == waiting
    story.interrupt(ref)
    assert told_of_a_tool(now_told()) == [("tool_completed", "cancelled")]


def test_a_tool_that_was_cancelled_at_work_has_begun() -> None:
    story = Story()
    ref = story.ask("Delete it.")
    story.think(ref, "delete")
    story.wait(ref, "delete")
    story.start(ref, "delete")
    story.interrupt(ref)
    assert told_of_a_tool(now_told()) == [
        *(("status_update", "acting"), ("span_started", "running")),
        ("tool_completed", "cancelled"),
    ]


def test_a_run_without_a_trace_has_a_start_and_an_end() -> None:
    story = Story()
    ref = story.ask("a")
    story.fail(ref, "The model is away.")
    Trace.objects.all().delete()
    found = present_or_bare([ref.run_id])
    messages = all_messages(list(found.values()), {ref.run_id: frozenset()})[ref.run_id]
    assert [m.event_type for m in messages] == ["trace_started", "run_error", "trace_completed"]
    assert messages[1].data["error"] == "The model is away."
