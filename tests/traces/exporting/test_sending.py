"""A finished trace gets to its receiver, once it can, whoever sends it; nothing else does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from agents.runtime.database import DatabaseThreads
from agents.runtime.ids import new_id
from myagent import span_ids
from myagent.inner_spans import InnerSpan
from tests.otlp_receiver import ReceivedSpan, Receiver, otlp_receiver
from tests.traces.recorded import AGENT, Story
from traces.exporting import outbox, reading, sending
from traces.exporting.sending import Sender
from traces.models import Trace, Waiting

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

CLIENT = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{CLIENT}-b7ad6b7169203331-01"


@pytest.fixture
def receiver(settings: LazySettings) -> Iterator[Receiver]:
    with otlp_receiver() as found:
        send_to(found, settings)
        yield found


def send_to(receiver: Receiver, settings: LazySettings) -> None:
    settings.MYAGENT_TRACE_EXPORT = True
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = receiver.url


def send(sender: Sender | None = None) -> None:
    """A server looks once for what is due."""

    async def look() -> None:
        database = DatabaseThreads()
        try:
            await (sender or Sender()).send(database)
        finally:
            await database.stop()

    asyncio.run(look())


def finished(text: str = "hello", traceparent: str = "", **story: Any) -> str:
    """The id of a run with a tool."""
    told = Story(**story)
    ref = told.ask(text, traceparent)
    told.think(ref, "search")
    inner = [
        InnerSpan("b" * 16, "", "query", 1, 3, "error", "It broke.", {"rows": 2**70}),
        InnerSpan("c" * 16, "d" * 16, "lookup", 2, 1),
    ]
    told.work(ref, "search", "error", "It is down.", spans=inner)
    told.answer(ref, "Nothing.")
    return ref.run_id


def make_due() -> None:
    Waiting.objects.update(due_at=timezone.now())


def by_name(spans: list[ReceivedSpan]) -> dict[str, list[ReceivedSpan]]:
    found: dict[str, list[ReceivedSpan]] = {}
    for span in spans:
        found.setdefault(span.name, []).append(span)
    return found


def test_a_run_is_a_tree_below_its_client_s_span(receiver: Receiver) -> None:
    run_id = finished(traceparent=PARENT)
    send()
    assert not Waiting.objects.exists()
    (request,) = receiver.requests
    assert request.path == "/v1/traces"
    assert {span.trace_id for span in request.spans} == {CLIENT}
    assert {span.resource["service.name"] for span in request.spans} == {"tested"}
    found = by_name(request.spans)
    (run,), (tool,) = found["invoke_agent helper"], found["execute_tool search"]
    assert (run.span_id, run.parent_id) == (span_ids.run_span_id(run_id), "b7ad6b7169203331")
    first, last = sorted(found["chat gpt-large"], key=lambda span: span.attributes["myagent.step"])
    assert (first.parent_id, last.parent_id) == (run.span_id, run.span_id)
    assert tool.parent_id == first.span_id
    (query,), (lookup,) = found["query"], found["lookup"]
    # The parent that `lookup` names was not kept.
    assert (query.parent_id, lookup.parent_id) == (tool.span_id, tool.span_id)
    assert (query.attributes["rows"], query.error) == (str(2**70), "It broke.")
    assert all(span.start_ns <= span.end_ns for span in request.spans)
    assert run.start_ns < last.end_ns <= run.end_ns


def test_they_are_called_as_the_conventions_say(receiver: Receiver) -> None:
    run_id = finished("What is new?")
    send()
    found = by_name(receiver.accepted)
    trace = Trace.objects.get()
    run = found["invoke_agent helper"][0].attributes
    assert run["gen_ai.operation.name"] == "invoke_agent"
    assert (run["gen_ai.agent.name"], run["gen_ai.conversation.id"]) == ("helper", trace.session_id)
    assert (run["myagent.run.id"], run["myagent.run.attempts"]) == (run_id, 1)
    chat = found["chat gpt-large"][0].attributes
    assert (chat["gen_ai.operation.name"], chat["gen_ai.request.model"]) == ("chat", "gpt-large")
    assert (chat["gen_ai.usage.input_tokens"], chat["gen_ai.usage.output_tokens"]) == (100, 20)
    assert chat["gen_ai.response.time_to_first_chunk"] == 0.009
    assert json.loads(chat["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "What is new?"}]}
    ]
    call = {"type": "tool_call", "id": "call_search", "name": "search", "arguments": {"a": 1}}
    assert json.loads(chat["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "content": "because"}, call],
            "finish_reason": "tool_call",
        }
    ]
    tool = found["execute_tool search"][0]
    assert tool.attributes["gen_ai.operation.name"] == "execute_tool"
    assert tool.attributes["gen_ai.tool.name"] == "search"
    assert tool.attributes["gen_ai.tool.call.id"] == "call_search"
    assert tool.attributes["gen_ai.tool.call.arguments"] == '{"a":1}'
    assert tool.attributes["gen_ai.tool.call.result"] == "It is down."
    assert (tool.error, tool.attributes["error.type"]) == ("It is down.", "tool_error")
    answer = json.loads(found["chat gpt-large"][1].attributes["gen_ai.output.messages"])
    assert answer[0]["parts"] == [{"type": "text", "content": "Nothing."}]


def test_a_run_that_failed_is_an_error_and_one_that_was_cancelled_is_none(
    receiver: Receiver,
) -> None:
    story = Story()
    story.fail(story.ask("one"), "The model is away.")
    story.interrupt(story.ask("two"))
    send()
    runs = by_name(receiver.accepted)["invoke_agent helper"]
    kinds = {run.attributes["myagent.run.status"]: run for run in runs}
    failed = kinds["failed"]
    assert (failed.error, failed.attributes["error.type"]) == ("The model is away.", "model_error")
    assert kinds["interrupted"].error is None
    reply = next(span for span in receiver.accepted if span.parent_id == failed.span_id)
    assert (reply.error, reply.attributes["error.type"]) == ("The model is away.", "model_error")


@pytest.mark.parametrize("content", ["off", "redacted"])
def test_what_may_not_be_seen_is_not_sent(
    receiver: Receiver, settings: LazySettings, content: str
) -> None:
    settings.MYAGENT_TRACE_CONTENT = content
    finished("a secret")
    send()
    sent = repr(receiver.accepted)
    for text in (
        "secret",
        "Nothing.",
        "because",
        "It is down",
        "It broke",
        '"a": 1',
        '"a":1',
        str(2**70),
    ):
        assert text not in sent
    assert ("gen_ai.input.messages" in sent) == (content == "redacted")
    assert "gen_ai.usage.input_tokens" in sent


def test_while_the_receiver_is_away_they_wait_and_then_come_once(settings: LazySettings) -> None:
    with ExitStack() as stack:
        receiver = stack.enter_context(otlp_receiver())
        send_to(receiver, settings)
        stack.close()
        sender = Sender()
        for number in range(3):
            finished(f"number {number}")
            make_due()
            send(sender)
        assert Waiting.objects.count() == 3
        assert max(Waiting.objects.values_list("tries", flat=True)) >= 2
        stack.enter_context(otlp_receiver(receiver=receiver))
        make_due()
        for _ in range(2):
            send(sender)
        assert len(by_name(receiver.accepted)["invoke_agent helper"]) == 3
    assert not Waiting.objects.exists()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_receiver_that_is_busy_is_asked_again(receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    finished()
    sender = Sender()
    send(sender)
    assert (Waiting.objects.get().tries, receiver.requests) == (1, [])
    make_due()
    send(sender)
    assert len(receiver.requests) == 1 and not Waiting.objects.exists()


@pytest.mark.parametrize(("asks_for", "waits_s"), [("120", 120), ("100000", 300)])
def test_a_receiver_that_asks_for_a_pause_is_left_alone_by_all_traces(
    receiver: Receiver, asks_for: str, waits_s: int
) -> None:
    receiver.statuses, receiver.retry_after = [429], asks_for
    now = 1_000.0
    sender = Sender(lambda: now)
    finished("first")
    send(sender)
    finished("second")
    now += waits_s - 1
    make_due()
    send(sender)
    assert receiver.asked == 1
    assert [each.claim for each in Waiting.objects.all()] == ["", ""]
    now += 1
    send(sender)
    assert len(by_name(receiver.accepted)["invoke_agent helper"]) == 2


def test_what_fails_before_does_not_hold_up_what_comes_later(receiver: Receiver) -> None:
    """The receiver has an error of its own with one of them, each time."""
    for number in range(3):
        finished(f"number {number}")
    receiver.statuses = [500, 500]
    sender = Sender()
    for _ in range(2):
        make_due()
        send(sender)
    make_due()
    send(sender)
    assert len(by_name(receiver.accepted)["invoke_agent helper"]) == 3


@pytest.mark.parametrize("status", [400, 401, 413, 302])
def test_what_the_receiver_refuses_is_dropped(receiver: Receiver, status: int) -> None:
    receiver.statuses = [status] * 2
    finished()
    send()
    assert not Waiting.objects.exists() and not receiver.requests


def test_a_refused_one_does_not_take_others_with_it(receiver: Receiver) -> None:
    receiver.refuses = {"invoke_agent bad"}
    finished()
    finished(agent=replace(AGENT, name="bad"))
    finished()
    send()
    assert len(by_name(receiver.accepted)["invoke_agent helper"]) == 2
    assert not Waiting.objects.exists()


def test_what_waited_too_long_is_not_sent(receiver: Receiver, settings: LazySettings) -> None:
    for number in range(2):
        finished(f"number {number}")
    Waiting.objects.update(ended_at=timezone.now() - timedelta(hours=25))
    run_id = finished("new")
    send()
    assert not Waiting.objects.exists()
    assert {span.trace_id for span in receiver.accepted} == {run_id.replace("-", "")}


def test_a_trace_that_was_removed_or_can_not_be_read_does_not_wait_for_ever(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished()
    Trace.objects.all().delete()
    finished()
    monkeypatch.setattr(reading, "contents_of", lambda *_: 1 / 0)
    send()
    assert not Waiting.objects.exists() and not receiver.requests


def test_a_huge_trace_goes_without_its_texts(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 5_000)
    finished("x" * 6_000)
    send()
    found = by_name(receiver.accepted)
    assert len(found["chat gpt-large"]) == 2
    assert not any("gen_ai.input.messages" in each.attributes for each in found["chat gpt-large"])


def test_many_go_in_requests_that_are_not_too_large(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "AT_ONCE", 3)
    monkeypatch.setattr(sending, "ENOUGH_BYTES", 1)
    for number in range(5):
        finished(f"number {number}")
    send()
    assert len(receiver.requests) == 5
    finished("one"), finished("two")
    monkeypatch.undo()
    send()
    assert len(receiver.requests) == 6


def test_a_server_that_pauses_has_nothing_claimed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "AT_ONCE", 1)
    monkeypatch.setattr(sending, "MOST_IN_A_ROW", 2)
    for number in range(3):
        finished(f"number {number}")
    send()
    assert [each.claim for each in Waiting.objects.all()] == [""]
    send()
    assert not Waiting.objects.exists()


def test_that_it_is_away_is_said_once_and_that_it_is_back(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    for level in ("warning", "info"):
        monkeypatch.setattr(sending.logger, level, lambda event, **_: said.append(event))
    sender = Sender()
    finished()
    receiver.statuses = [503, 503]
    for _ in range(2):
        make_due()
        send(sender)
    # One that can't be sent any more tells nothing of the receiver.
    Waiting.objects.update(ended_at=timezone.now() - timedelta(hours=25))
    make_due()
    send(sender)
    finished()
    send(sender)
    assert said == ["otlp_receiver_away", "traces_waited_too_long", "otlp_receiver_back"]


def test_the_headers_go_along_and_requests_may_be_compressed(
    receiver: Receiver, settings: LazySettings
) -> None:
    settings.OTEL_EXPORTER_OTLP_HEADERS = "Authorization=Basic%20YTpi=,x-tenant=one"
    settings.OTEL_EXPORTER_OTLP_COMPRESSION = "gzip"
    settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = f"{receiver.url}/own/path"
    settings.OTEL_SERVICE_NAME = "our site"
    settings.OTEL_RESOURCE_ATTRIBUTES = "deployment.environment.name=a%20test,service.version=7"
    finished()
    send()
    (request,) = receiver.requests
    assert request.path == "/own/path"
    assert (request.headers["authorization"], request.headers["x-tenant"]) == ("Basic YTpi=", "one")
    resource = request.spans[0].resource
    assert len(resource) == 3
    assert (resource["service.name"], resource["service.version"]) == ("our site", "7")
    assert resource["deployment.environment.name"] == "a test"


def test_of_two_servers_one_has_a_trace_until_its_claim_is_over(receiver: Receiver) -> None:
    finished()
    now = timezone.now()
    (first,) = outbox.claim(now)
    assert outbox.claim(now) == []
    after = now + timedelta(seconds=outbox.CLAIM_S)
    (second,) = outbox.claim(after)
    assert first.pk == second.pk
    # Who comes late changes nothing.
    outbox.put_off([first], after)
    outbox.give_back([first], after)
    assert Waiting.objects.get().claim == second.claim
    outbox.put_off([second], after)
    assert outbox.claim(after) == []
    assert len(outbox.claim(after + timedelta(seconds=1))) == 1


def test_two_that_claim_at_once_share(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        finished(f"number {number}")
    now = timezone.now()
    theirs: list[Waiting] = []

    def another_is_first() -> str:
        monkeypatch.setattr(outbox, "new_id", new_id)
        monkeypatch.setattr(outbox, "AT_ONCE", 2)
        theirs.extend(outbox.claim(now))
        return new_id()

    monkeypatch.setattr(outbox, "new_id", another_is_first)
    mine = outbox.claim(now)
    assert len(theirs) == len(mine) == 2
    assert not {each.pk for each in mine} & {each.pk for each in theirs}


def test_nothing_waits_where_nothing_is_sent() -> None:
    finished()
    assert not Waiting.objects.exists()
