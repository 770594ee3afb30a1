"""A run again, from a step on: a conversation of its own, whose log has all before that step."""

from __future__ import annotations

from typing import Any

import pytest

from agents.archive import removal
from agents.log import forking, reading
from agents.models import Event, Run, Server, Session
from agents.principals import Principal
from myagent import exact_json
from tests.traces.recorded import Story
from traces.models import Span, Trace
from traces.reading import finding
from traces.reading.describing import trace_json
from traces.reading.finding import Wanted
from traces.rerunning import NotRerun, Rerun

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

ADA = Principal("user:1", "ada")
BEN = Principal("user:2", "ben")


def told(*before: str, **story: Any) -> tuple[Story, Trace]:
    """A run of two steps, after turns that answered other questions."""
    found = Story(**story)
    for text in before:
        early = found.ask(text)
        found.answer(early, f"answer to {text}", step=1)
    ref = found.ask("What is new?")
    found.think(ref, "search", "look")
    found.work(ref, "search", "success", "found it")
    found.work(ref, "look", "success", "seen it")
    found.answer(ref, "Nothing.")
    return found, Trace.objects.get(pk=ref.run_id)


def rerun(trace: Trace, step: int = 1, principal: Principal | None = None, **how: Any) -> Trace:
    return Rerun(trace, step, principal, **how).write()


def entries(session_id: str) -> list[Event]:
    return list(Event.objects.filter(session_id=session_id).order_by("seq"))


def memory(session_id: str) -> list[tuple[str, str]]:
    """What the model will be given."""
    opened = reading.open_session(session_id, 10_000)
    return [(each.role, each.content) for each in opened.history.messages()]


def test_a_fork_has_all_before_its_step_in_a_log_without_gaps() -> None:
    story, trace = told("first", "second")
    new = rerun(trace, step=2)
    copies = entries(new.session_id)
    assert [each.seq for each in copies] == list(range(1, len(copies) + 1))
    assert Session.objects.get(pk=new.session_id).last_seq == len(copies)
    assert [each.event for each in copies] == [
        *("agent.session_created", "user.message", "agent.thinking", "agent.final_answer"),
        *("user.message", "agent.thinking", "agent.final_answer"),
        *("user.message", "agent.thinking"),
        *("agent.tool_call", "agent.tool_result", "agent.tool_call", "agent.tool_result"),
    ]
    assert memory(new.session_id) == memory(story.session_id)[:-1]
    opened = reading.open_session(new.session_id, 10_000)
    (unfinished,) = opened.unfinished
    assert (unfinished.run_id, unfinished.state.step, unfinished.attempts) == (new.pk, 1, 0)
    assert not unfinished.state.open_calls


def test_a_fork_shares_no_run_with_what_it_was_forked_from() -> None:
    story, trace = told("first")
    before = [(each.seq, each.payload) for each in entries(story.session_id)]
    new = rerun(trace)
    assert [(each.seq, each.payload) for each in entries(story.session_id)] == before
    runs = {each.run_id for each in entries(new.session_id)}
    assert not runs & {each.run_id for each in entries(story.session_id)} - {None}
    for entry in entries(new.session_id):
        assert entry.metadata.get("run_id", entry.run_id) == entry.run_id
    first = entries(new.session_id)[0].metadata["forked_from"]
    assert first == {"session_id": story.session_id, "run_id": trace.pk, "step": 1}
    Server.objects.all().delete()
    assert removal.remove_at_rest(story.session_id)
    assert len(entries(new.session_id)) == 5


def test_only_the_first_step_can_have_another_question() -> None:
    _, trace = told("first")
    new = rerun(trace, question="What is old?")
    assert memory(new.session_id)[-1] == ("user", "What is old?")
    assert (new.request, new.rerun_of, new.rerun_step) == ("What is old?", trace.pk, 1)
    message = entries(new.session_id)[-1]
    assert exact_json.loads(message.payload)["content"] == "What is old?"
    assert Session.objects.get(pk=new.session_id).title == "What is old?"
    with pytest.raises(NotRerun) as refused:
        rerun(trace, step=2, question="What is old?")
    assert refused.value.code == "invalid"


def test_the_reply_that_failed_can_be_asked_for_again() -> None:
    story = Story()
    ref = story.ask("a")
    story.think(ref, "search")
    story.work(ref, "search", "success", "found")
    story.fail(ref, "the model is down")
    new = rerun(Trace.objects.get(), step=2)
    assert [each.event for each in entries(new.session_id)][-1] == "agent.tool_result"
    with pytest.raises(NotRerun, match="from steps 1 to 2"):
        rerun(Trace.objects.get(pk=ref.run_id), step=3)


def test_what_runs_or_waits_meanwhile_stays_where_it_is() -> None:
    story = Story()
    ref = story.ask("a")
    story.think(ref, "search", "look")
    story.work(ref, "search", "success", "found")
    trace = Trace.objects.get()
    with pytest.raises(NotRerun, match="from steps 1 to 1"):
        rerun(trace, step=2)
    new = rerun(trace)
    assert [each.event for each in entries(new.session_id)] == [
        "agent.session_created",
        "user.message",
    ]
    assert Run.objects.get(pk=ref.run_id).status == Run.Status.RUNNING


def test_a_tool_that_waits_for_a_yes_is_asked_about_anew() -> None:
    story = Story()
    ref = story.ask("a")
    story.think(ref, "order", "look")
    story.work(ref, "look", "success", "seen")
    story.wait(ref, "order")
    trace = Trace.objects.get()
    events = [each.event for each in entries(rerun(trace).session_id)]
    assert events == ["agent.session_created", "user.message"]
    story.agree(ref, "order")
    story.work(ref, "order", "success", "ordered")
    story.answer(ref, "Done.")
    new = rerun(trace, step=2)
    assert "user.response" in [each.event for each in entries(new.session_id)]
    (unfinished,) = reading.open_session(new.session_id, 10_000).unfinished
    assert not unfinished.state.open_calls and not unfinished.state.waiting


def test_a_run_that_was_stopped_runs_again_from_where_it_was_stopped() -> None:
    story = Story()
    ref = story.ask("a")
    story.think(ref, "search")
    story.work(ref, "search", "success", "found")
    story.interrupt(ref)
    new = rerun(Trace.objects.get(pk=ref.run_id), step=2)
    (unfinished,) = reading.open_session(new.session_id, 10_000).unfinished
    assert not unfinished.state.is_cancelled
    assert [role for role, _ in memory(new.session_id)] == ["user", "assistant", "tool"]


def test_without_traces_nothing_runs_again(settings: Any) -> None:
    _, trace = told()
    settings.MYAGENT_TRACING = False
    with pytest.raises(NotRerun, match="MYAGENT_TRACING"):
        rerun(trace)


def test_only_who_may_take_part_can_run_it_again_and_owns_what_comes_of_it() -> None:
    _, trace = told(principal=ADA.key)
    sees = Principal(BEN.key, "ben", sees_everything=True)
    acts = Principal(BEN.key, "ben", sees_everything=True, acts_everywhere=True)
    for somebody in (BEN, sees):
        with pytest.raises(NotRerun) as refused:
            rerun(trace, principal=somebody)
        assert refused.value.code == "forbidden"
    assert Session.objects.count() == 1
    new = rerun(trace, principal=acts)
    assert (new.principal, Session.objects.get(pk=new.session_id).principal) == (BEN.key,) * 2


def test_a_conversation_that_was_removed_can_not_run_again() -> None:
    story, trace = told()
    Run.objects.filter(session_id=story.session_id).delete()
    with pytest.raises(NotRerun) as refused:
        rerun(trace)
    assert refused.value.code == "unknown_session"


def test_a_log_that_lost_the_step_is_said_to_have_lost_it() -> None:
    story, trace = told()
    Event.objects.filter(session_id=story.session_id, seq__lte=2).delete()
    with pytest.raises(NotRerun, match="has no step") as refused:
        rerun(trace)
    assert refused.value.code == "unknown_step"
    assert Session.objects.count() == 1


def test_of_a_long_conversation_the_newest_turns_are_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forking, "MOST_ENTRIES", 7)
    monkeypatch.setattr(forking, "AT_ONCE", 2)
    _, trace = told("first", "second", "third")
    new = rerun(trace)
    assert [text for role, text in memory(new.session_id) if role == "user"] == [
        *("second", "third", "What is new?")
    ]
    copies = entries(new.session_id)
    assert [each.seq for each in copies] == list(range(1, len(copies) + 1))


def test_a_trace_says_what_it_runs_again_and_what_ran_it_again() -> None:
    _, trace = told()
    new = rerun(trace, step=2)
    assert trace_json(new)["rerun_of"] == {"trace_id": trace.pk, "step": 2}
    assert trace_json(trace)["rerun_of"] is None
    assert [each.pk for each in finding.select(Wanted(rerun_of=trace.pk))] == [new.pk]
    assert not Span.objects.filter(trace=new).exists()


@pytest.mark.parametrize("setting", ["off", "redacted"])
def test_what_is_not_to_be_seen_is_not_seen_of_a_fork(settings: Any, setting: str) -> None:
    settings.MYAGENT_TRACE_CONTENT = setting
    _, trace = told()
    assert "What" not in rerun(trace).request
